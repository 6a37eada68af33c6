/**
 * Starts the orchestrator: settings, stages, HTTP, in this order. The embedded chat model is fetched and loaded only once no
 * language model before it can answer.
 */
import { BootHistory } from '@hearth/shared/boot-history'
import { describeConfig } from '@hearth/shared/config'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import { discardModel, fetchModel } from '@hearth/shared/model-store'
import type { ModelFiles } from '@hearth/shared/model-store'
import { runService } from '@hearth/shared/model-service'
import { readyButWarming, stillWarming } from '@hearth/shared/model-status'
import { serve } from '@hearth/shared/serve'
import { chooseSpec, storeOptions } from '@hearth/shared/service-settings'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import packageFile from '../package.json' with { type: 'json' }
import { Admission } from './admission.ts'
import { createOrchestratorApp } from './app.ts'
import { readOrchestratorConfig, uploadLimit } from './config.ts'
import type { OrchestratorConfig } from './config.ts'
import { chatChecks, orchestratorChecks, redisCheck, turnChecks } from './doctor/stack-doctor.ts'
import { createStages } from './create-stages.ts'
import spec from './model.json' with { type: 'json' }
import { startJobs } from './jobs/start-jobs.ts'
import type { Jobs } from './jobs/start-jobs.ts'
import { rehearse } from './rehearsal.ts'
import { connectRedis } from './redis.ts'
import { createReplicaSend } from './replica-send.ts'
import { createSummariser } from './session-summary.ts'
import { Sessions } from './sessions.ts'
import { startEars } from './start-ears.ts'
import { startRealtime } from './start-realtime.ts'
import { startMemory } from './start-memory.ts'
import type { ChatEngineOptions, Written } from './stages/chat-engine.ts'
import { createLanguageModels } from './stages/language-models.ts'
import type { LanguageModels } from './stages/language-models.ts'
import type { Prompt } from './stages/llm.ts'
import { Turns } from './turns.ts'
import { loadPage } from './web/page-files.ts'
import { PAGE_PATHS } from './web/routes.ts'

type ChatModel = Model<Prompt, Written, string>

/** Open WebUI asks for these without a key. */
const OPEN_PATHS = ['/v1/audio/voices', '/v1/audio/models']

/** A replica that dies in a turn keeps its session from the others for that long. */
const LEASE_MS = 5000
const SUMMARY_LIMIT_MS = 20_000

async function main(): Promise<void> {
  const config = readOrchestratorConfig()
  const log = createLogger({ service: 'orchestrator', level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics('orchestrator')
  const boots = new BootHistory({
    home: config.hearth.home,
    service: 'orchestrator',
    sources: new URL('.', import.meta.url),
    log,
  })
  const firstWarm = Promise.withResolvers<void>()
  const chat = createChatModel(config, { log, metrics, onWarm: firstWarm.resolve })
  void firstWarm.promise.then(() => boots.record(chat.status))
  const llm = createLanguageModels(config, chat, log)
  const jobs = openJobs(config, log, metrics)
  const send = createReplicaSend()
  const memory = startMemory(config, llm, send, log)
  const stages = createStages(config, { memory: memory.stage, llm, queue: jobs?.queue, send, log })
  const ears = startEars(config, log, metrics)
  const sessions = createSessions(config, llm, log)
  const current = () => llm.status
  const closing = new AbortController()
  let told = stillWarming
  const models = () => [told(current()), ...memory.models()]
  const services = { stt: config.stt.url, tts: config.tts.url, embeddings: config.embeddings.url }
  const access = { ...config.hearth, openPaths: [...OPEN_PATHS, ...PAGE_PATHS] }
  const turns = new Turns()
  const admission = new Admission(config.orchestrator.maxTurns)
  const app = createOrchestratorApp({
    version: packageFile.version,
    turns,
    admission,
    stages,
    memory: memory.book,
    sessions,
    models,
    services,
    optionalModels: ears.models,
    send,
    jobs,
    dashboard: config.queue.dashboard,
    page: loadPage(),
    isDraining: () => closing.signal.aborted,
    boots: () => boots.last(),
    checks: () => [
      ...orchestratorChecks(config),
      redisCheck(config),
      ...chatChecks(config, { boots: () => boots.last(), status: () => chat.status, log }),
      ...turnChecks(config, { status: ears.turnEndStatus, log }),
    ],
    access,
    ...config.orchestrator,
    maxUploadBytes: uploadLimit(config),
    log,
    metrics,
  })
  const realtime = startRealtime(config, {
    stages,
    sessions,
    turns,
    admission,
    access,
    ears,
    models,
    services,
    log,
    metrics,
  })
  const { port, host: hostname } = config.orchestrator
  const onDrain = () => {
    closing.abort()
    realtime.drain()
  }
  const close = [
    () => realtime.close(),
    () => sessions.close(),
    async () => jobs?.close(),
    () => llm.close(),
    () => chat.close(),
    async () => stages.close(),
    () => memory.close(),
    () => ears.close(),
  ]
  const server = await serve({ app, port, hostname, log, onDrain, close, upgrade: realtime.upgrade })
  await llm.start()

  const { apiKey } = config.hearth
  const rehearsal = {
    isReady: () => current().state === 'ready',
    onReady: () => void (told = readyButWarming),
    isInUse: () => admission.running > 0,
    makeRoom: () => admission.lend(),
    others: [config.stt.url, config.tts.url, config.embeddings.url],
    base: `http://127.0.0.1:${server.port}`,
  }
  // It would load what is to wait for its first request.
  if (current().preload !== 'lazy')
    await rehearse({ ...rehearsal, tts: stages.tts, apiKey, log }, closing.signal).catch((error: unknown) => {
      if (!closing.signal.aborted) throw error
    })
  told = (status) => status
}

function openJobs(
  { redis, hearth, jobs, spool, stt, webhook }: OrchestratorConfig,
  log: Log,
  metrics: Metrics,
): Jobs | undefined {
  if (redis.url === undefined) return undefined
  const replicas = { urls: stt.urls ?? [stt.url], limitMs: stt.limitMs }
  const { secret: webhookSecret } = webhook
  const { url: redisUrl } = redis
  return startJobs({ redisUrl, home: hearth.home, jobs, spool, stt: replicas, webhookSecret, log, metrics })
}

function createSessions({ session, redis }: OrchestratorConfig, { servers }: LanguageModels, log: Log): Sessions {
  const { max: maxSessions, ...limits } = session
  const shared =
    redis.url === undefined
      ? undefined
      : { connection: connectRedis(redis.url, 'producer', log), leaseMs: LEASE_MS, log }
  const summaries = servers && { summariser: createSummariser(servers), limitMs: SUMMARY_LIMIT_MS, log }
  return new Sessions({ ...limits, maxSessions, maxWaiting: 16, shared, summaries })
}

function createChatModel(
  config: OrchestratorConfig,
  parts: { log: Log; metrics: Metrics; onWarm: () => void },
): ChatModel {
  const store = storeOptions(config, config.chat, parts.log)
  const files = chooseSpec(spec, config.chat)
  return new Model<Prompt, Written, string>({
    name: 'chat',
    preload: config.chat.preload,
    fetch: (onProgress, signal) => fetchModel(files, store, onProgress, signal),
    onDamaged: (damaged) => discardModel(damaged, store.cacheDir),
    createThread: (found) => createThread(found, config.chat),
    maxBatchSize: 1,
    ...parts,
  })
}

function createThread({ dir, source }: ModelFiles, { threads, maxTokens }: OrchestratorConfig['chat']) {
  const isDemo = source === 'demo'
  const options: ChatEngineOptions = {
    dir,
    dtype: isDemo ? 'fp32' : 'q4',
    form: isDemo ? 'facts' : 'fenced',
    threads,
    maxTokens,
  }
  const module = new URL('./stages/chat-engine.ts', import.meta.url)
  return new EngineThread<Prompt, Written, string>({ module, options, name: 'chat' })
}

runService('orchestrator', main)
