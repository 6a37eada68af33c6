import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DoctorReport } from '@hearth/shared/api'
import { Secret } from '@hearth/shared/config'
import { diagnose, ok, reportOf, warning } from '@hearth/shared/doctor'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { expect, onTestFinished, test } from 'vitest'
import { createOrchestratorApp } from '../app.ts'
import { readOrchestratorConfig } from '../config.ts'
import { Sessions } from '../sessions.ts'
import { fakeStages } from '../testing/fake-stages.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import { chatChecks, turnChecks } from './stack-doctor.ts'

const NOWHERE = 'http://127.0.0.1:1'
const log = createLogger({ service: 'orchestrator', level: 'silent' })

async function setUp(apiKey?: Secret) {
  const found = reportOf([{ service: 'stt', check: 'model files', ...warning('not here', 'pull') }])
  const stt = await startStub((response) => sendJson(response, found))
  onTestFinished(() => stt.close())
  let looks = 0
  const look = () => {
    looks++
    return ok('well')
  }
  const app = createOrchestratorApp({
    version: '1.2.3',
    stages: fakeStages().stages,
    sessions: new Sessions({ maxSessions: 1, maxTurns: 1, idleMs: 1, maxWaiting: 0 }),
    models: () => [],
    services: { stt: stt.url, tts: NOWHERE, embeddings: NOWHERE },
    checks: () => [{ name: 'own', run: look }],
    isDraining: () => false,
    access: { apiKey },
    instructions: '',
    maxUploadBytes: 1,
    maxTextChars: 1,
    maxTurns: 1,
    turnLimitMs: 1,
    log,
    metrics: createMetrics('orchestrator'),
  })
  return { app, stt, looks: () => looks }
}

test('has the findings of all services, and says which of them do not answer', async () => {
  const { app } = await setUp()
  const answer = await app.request('/doctor')
  expect(answer.status).toBe(200)
  const { status, findings } = DoctorReport.parse(await answer.json())
  expect(status).toBe('failed')
  expect(findings).toEqual([
    { service: 'orchestrator', check: 'own', ...ok('well') },
    { service: 'stt', check: 'model files', ...warning('not here', 'pull') },
    expect.objectContaining({
      service: 'tts',
      check: 'service',
      status: 'failed',
      remedy: expect.stringContaining('TTS_URL'),
    }),
    expect.objectContaining({ service: 'embeddings', status: 'failed' }),
  ])
})

test('is looked for once, however many ask', async () => {
  const { app, stt, looks } = await setUp()
  await Promise.all(Array.from({ length: 50 }, async () => app.request('/doctor')))
  await app.request('/doctor')
  expect([looks(), stt.asked.length]).toEqual([1, 1])
})

test('is told only to those who have the key', async () => {
  const { app, looks } = await setUp(new Secret('a-key-of-16-letters'))
  expect((await app.request('/doctor')).status).toBe(401)
  expect(looks()).toBe(0)
  const headers = { authorization: 'Bearer a-key-of-16-letters' }
  expect((await app.request('/doctor', { headers })).status).toBe(200)
})

test('the model that hears the end of a turn is looked at, and that it is not here is no failure', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hearth-doctor-'))
  onTestFinished(() => rm(home, { recursive: true }))
  const config = readOrchestratorConfig({ HF_HOME: home, TURN_MODEL_DIR: join(home, 'nowhere') })
  const found = await diagnose('orchestrator', turnChecks(config, { status: () => null, log }))
  expect(found).toMatchObject([
    { check: 'turn model files', status: 'warning', detail: expect.stringContaining('pipecat-ai/smart-turn-v3') },
  ])
})

test('the small language model is no matter while Ollama answers', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hearth-doctor-'))
  onTestFinished(() => rm(home, { recursive: true }))
  const ollama = await startStub((response) => sendJson(response, { models: [{ name: 'llama3.2:3b' }] }))
  onTestFinished(() => ollama.close())
  const statusOf = async (url: string) => {
    const config = readOrchestratorConfig({ OLLAMA_URL: url, HF_HOME: home, HF_HUB_OFFLINE: '1' })
    const checks = chatChecks(config, { boots: async () => [], status: () => null, log })
    return (await checks.find(({ name }) => name === 'model files')?.run(AbortSignal.timeout(5000)))?.status
  }
  expect([await statusOf(ollama.url), await statusOf(NOWHERE)]).toEqual(['skipped', 'warning'])
})
