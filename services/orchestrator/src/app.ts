/** The orchestrator's HTTP surface: a turn (`/generate`), a chat, and the model services' own `/v1/*`, all at one address. */
import type { AccessOptions } from '@hearth/shared/access'
import type { BootEntry, ModelStatus } from '@hearth/shared/api'
import { createDoctor } from '@hearth/shared/doctor'
import type { Check } from '@hearth/shared/doctor'
import { createApp } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import type { Hono } from 'hono'
import { Admission } from './admission.ts'
import { examineStack } from './doctor/stack-doctor.ts'
import { addChatCompletions } from './chat-completions.ts'
import { addGateway } from './gateway.ts'
import type { GatewayOptions } from './gateway.ts'
import { addGenerate } from './generate.ts'
import type { GenerateOptions } from './generate.ts'
import type { Send } from './replica-send.ts'
import { addSessionRoutes } from './session-routes.ts'
import { addApiDescription } from './openapi/routes.ts'
import { Turns } from './turns.ts'
import { addDashboard } from './jobs/dashboard.ts'
import { addJobRoutes } from './jobs/routes.ts'
import type { Jobs } from './jobs/start-jobs.ts'
import { addQueuedTranscriptions } from './jobs/transcriptions.ts'
import { reportServices } from './stack-report.ts'
import { addMemoryRoutes } from './memory-routes.ts'
import { addRealtimeRoute } from './realtime/realtime-route.ts'
import type { MemoryBook } from './stages/memory-book.ts'
import type { PageFiles } from './web/page-files.ts'
import { addPage } from './web/routes.ts'

export type OrchestratorOptions = Omit<GenerateOptions, 'admission' | 'turns'> & {
  /** Shared with what else holds turns. */
  readonly admission?: Admission
  readonly turns?: Turns
  readonly version: string
  /** What `/ready` waits for: the language model that answers now. The other services tell of theirs. */
  readonly models: () => readonly ModelStatus[]
  /** Also told by `/ready`, which does not wait for them. */
  readonly optionalModels?: () => readonly ModelStatus[]
  /** Base addresses of the model services, whose `/v1/*` is also here. */
  readonly services: GatewayOptions['services']
  /** How to reach them. */
  readonly send?: Send
  readonly isDraining: () => boolean
  /** Earlier starts of the language model in this process. */
  readonly boots?: () => Promise<readonly BootEntry[]>
  /** What `/doctor` looks at beside the other services. */
  readonly checks?: () => readonly Check[]
  /** Who may call; everybody who reaches the port when it is left out. */
  readonly access?: AccessOptions
  /** What is remembered of people, for them to see and change. */
  readonly memory?: MemoryBook
  /** Where there is a Redis. */
  readonly jobs?: Omit<Jobs, 'close'> | undefined
  /** Shows the queue under /queues. */
  readonly dashboard?: boolean
  /** For people who open the address in a browser. */
  readonly page?: Promise<PageFiles>
  readonly maxUploadBytes: number
  /** Turns and chat replies at the same time; more are refused at once. */
  readonly maxTurns: number
}

/** Where to go from `/`. */
const LINKS = {
  generate: '/generate',
  sessions: '/sessions',
  memories: '/memories',
  chat: '/v1/chat/completions',
  realtime: '/v1/realtime',
  models: '/v1/models',
  docs: '/docs',
  openapi: '/openapi.json',
  health: '/health',
  ready: '/ready',
  doctor: '/doctor',
  metrics: '/metrics',
}

/** For a form's boundaries and other fields. */
const FORM_BYTES = 16_384

/** The service as a Hono app, without a server. */
export function createOrchestratorApp(options: OrchestratorOptions): Hono<AppEnv> {
  const { version, log, metrics, models, optionalModels, isDraining, maxUploadBytes, access = {} } = options
  const told = () => [...models(), ...(optionalModels?.() ?? []).map((model) => ({ ...model, optional: true }))]
  const maxBodyBytes = maxUploadBytes + FORM_BYTES
  const services = reportServices(options.services)
  const details = async () => ({ boots: [...((await options.boots?.()) ?? [])], services: await services() })
  const app = createApp({
    service: 'orchestrator',
    models: told,
    isDraining,
    details,
    access,
    log,
    metrics,
    maxBodyBytes,
  })
  const report = createDoctor(() => examineStack(options.checks?.() ?? [], options.services))
  app.get('/doctor', async (c) => c.json(await report()))
  const { admission = new Admission(options.maxTurns), turns = new Turns() } = options

  addPage(app, { welcome: { name: 'hearth', version, links: LINKS }, page: options.page })
  addGenerate(app, { ...options, admission, turns })
  addRealtimeRoute(app)
  addSessionRoutes(app, { ...options, turns })
  if (options.memory) addMemoryRoutes(app, { memory: options.memory, log })
  const { jobs } = options
  // Before the gateway, which has the same routes without a queue.
  if (jobs) addQueuedTranscriptions(app, jobs)
  addGateway(app, options)
  addJobRoutes(app, jobs)
  if (jobs && options.dashboard) addDashboard(app, jobs.queue)
  addChatCompletions(app, { ...options, admission })
  addApiDescription(app, version)
  return app
}
