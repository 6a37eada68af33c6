import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { FakeSetup } from './testing/fake-service.ts'
import { postJson, startProcess } from './testing/service-process.ts'
import { settle } from './testing/signals.ts'
import { storeFixture } from './testing/store-fixture.ts'

// Each test starts a process.
vi.setConfig({ testTimeout: 60_000 })

const PROGRAM = join(import.meta.dirname, 'testing/fake-service.ts')
/** The service as a process on a hub and a cache of its own. */
async function start(engine: FakeSetup['engine'] = {}, env: Record<string, string> = {}, holdRehearsals = false) {
  const { hub, spec, dir } = await storeFixture()
  const setup: FakeSetup = { spec, engine, holdRehearsals }
  const own = {
    FAKE_SETUP: JSON.stringify(setup),
    FAKE_PORT: '0',
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: dir,
    HEARTH_HOME: dir,
  }
  return { hub, ...(await startProcess(PROGRAM, { ...own, ...env })) }
}

describe('SIGTERM', () => {
  test.each([
    ['a fetch', 'fetching'],
    ['a load', 'loading'],
  ])('during %s tells who waits, and ends the process in order', async (_, state) => {
    const service = await start({ load: 'hang' }, { FAKE_PRELOAD: 'lazy' })
    if (state === 'fetching') service.hub.fail({ kind: 'stall' }, { file: 'onnx/model.onnx' })
    const held = service.call('/double', { method: 'POST' })
    if (state === 'loading') await service.inState(state)
    else while (service.hub.requests.length < 2) await settle()
    service.child.kill('SIGTERM')
    expect(await held).toMatchObject({ status: 503, body: { error: { code: 'draining' } } })
    expect(await service.end()).toBe(0)
    expect(service.lines.map(({ msg }) => msg)).toContain('stopped')
  })
})

test('fifty first requests of a lazy service fetch and load its model once', async () => {
  const { hub, call, times, lines } = await start({}, { FAKE_PRELOAD: 'lazy' })
  expect(await call('/ready')).toMatchObject({ status: 200, body: { models: [{ state: 'idle' }] } })
  expect(hub.requests).toEqual([])
  const answers = await Promise.all(Array.from({ length: 50 }, () => call('/double', { method: 'POST' })))
  expect(answers.map(({ status, body }) => [status, body.output])).toEqual(Array.from({ length: 50 }, () => [200, 42]))
  expect([times('loading'), hub.requestsFor('GET', 'onnx/model.onnx').length]).toEqual([1, 2])
  expect(lines.filter(({ msg }) => msg === 'model failed')).toEqual([])
})

test('ready comes after one inference, and what else is cold is warmed behind it', async () => {
  const { call, lines, logged } = await start()
  const report = async () => (await call('/ready')).body.models[0]
  await logged(({ msg, to }) => msg === 'model state' && to === 'ready')
  await logged(({ msg }) => msg === 'warm')
  const told = lines.map(({ msg, to }) => (msg === 'model state' ? to : msg))
  expect(told.indexOf('ready')).toBeLessThan(told.indexOf('request'))
  expect(told.indexOf('request')).toBeLessThan(told.indexOf('warm'))
  expect(await report()).toMatchObject({ state: 'ready', warming: false, secondInferenceMs: expect.any(Number) })
  expect((await call('/ready?verbose')).body.boots).toMatchObject([{ warmMs: expect.any(Number) }])
})

test('a rehearsal that is under way does not bring back what is unloaded meanwhile', async () => {
  const { base, call, times } = await start({}, {}, true)
  const ask = (path: string, method = 'GET') => fetch(`${base}${path}`, { method })
  await ask('/arrived')
  const unloaded = ask('/api/ps/openai%2Ftiny', 'DELETE')
  // As long as the other needs to arrive.
  for (let count = 0; count < 5; count++) await ask('/health')
  await ask('/release', 'POST')
  expect((await unloaded).status).toBe(200)
  expect([(await call('/ready')).body.models[0].state, times('loading')]).toEqual(['idle', 1])
})

test('the metrics tell of the model that sits here, whatever becomes of the one before', async () => {
  const { base, call, inState } = await start({}, { FAKE_MODELS: 'org/other' })
  const states = async () => {
    const text = await (await fetch(`${base}/metrics`)).text()
    return [...text.matchAll(/^hearth_model_state\{model="fake",state="(\w+)",service="fake"\} 1$/gm)].map(
      ([, name]) => name,
    )
  }
  while ((await call('/ready')).body.models[0].state !== 'ready') await settle()
  await call('/api/ps/org%2Fother', { method: 'POST' })
  await inState('stopped')
  expect(await states()).toEqual(['ready'])
  await call('/api/ps/org%2Fother', { method: 'DELETE' })
  expect(await states()).toEqual(['idle'])
})

describe('the doctor', () => {
  const lazy = { FAKE_PRELOAD: 'lazy', FAKE_MODELS: 'org/other' }
  type Found = { readonly check: string; readonly status: string; readonly detail: string }

  test('takes a model that nobody has asked for yet for no failure', async () => {
    const { call } = await start({}, lazy)
    const found: Found[] = (await call('/doctor')).body.findings
    expect(found.slice(0, 1)).toMatchObject([
      { check: 'model', status: 'skipped', detail: expect.stringMatching(/^openai\/tiny is not loaded/) },
    ])
  })

  test('looks at the model that sits there now, and the history has its start', async () => {
    const { call } = await start({}, lazy)
    await call('/api/ps/org%2Fother', { method: 'POST' })
    const boots = async (): Promise<object[]> => (await call('/ready?verbose')).body.boots
    while ((await boots()).length === 0) await settle()
    expect(await boots()).toMatchObject([{ model: 'org/other', bytes: 3_000_022, downloadedBytes: 3_000_022 }])
    const found: Found[] = (await call('/doctor')).body.findings
    expect(found.slice(0, 2)).toMatchObject([
      { check: 'model', status: 'ok', detail: 'org/other is ready' },
      { check: 'model files', status: 'ok', detail: expect.stringMatching(/^org\/other: 3\.0 MB, complete/) },
    ])
  })
})

test('an engine that dies while it loads leaves a service that says so', async () => {
  const { call, logged } = await start({ load: 'exit' })
  await logged(({ msg }) => msg === 'model failed')
  const { status, body } = await call('/ready')
  expect([status, body.models[0].preload]).toEqual([503, 'background'])
  expect(body.models[0].error).toContain('ended unexpectedly')
  expect((await call('/health')).status).toBe(200)
  expect((await call('/v1/models')).status).toBe(200)
  await logged((line) => line.msg === 'model failed' && Number(line['retryInMs']) >= 400)
  expect(await call('/double', { method: 'POST' })).toMatchObject({
    status: 503,
    body: { error: { code: 'model_failed' }, loading: { model: 'openai/tiny' } },
  })
})

test('another model comes from the hub and takes the place under fire, and nobody is refused', async () => {
  const { call, times } = await start({}, { FAKE_MODELS: 'org/other' })
  const fires = { on: true }
  const seen: { status: number; id: string }[] = []
  const fire = async () => {
    while (fires.on) {
      const { status, body } = await call('/double', { method: 'POST' })
      seen.push({ status, id: body.id })
    }
  }
  const clients = Array.from({ length: 8 }, fire)
  while (seen.length < 20) await settle()
  expect((await call('/api/ps/org%2Fother', { method: 'POST' })).status).toBe(200)
  const before = seen.length
  while (seen.length < before + 30) await settle()
  fires.on = false
  await Promise.all(clients)
  expect(seen.filter(({ status }) => status !== 200)).toEqual([])
  expect([seen[0]?.id, seen.at(-1)?.id, times('loading')]).toEqual(['openai/tiny', 'org/other', 2])
  const [other] = (await call('/api/ps')).body.models
  expect(other).toMatchObject({ name: 'org/other', size: 3_000_022, state: 'ready' })
})

test('a pull that breaks off is resumed by the next, and loads nothing', async () => {
  const { hub, base, times } = await start({}, { FAKE_PRELOAD: 'lazy', FAKE_MODELS: 'org/other' })
  const pull = (signal?: AbortSignal) =>
    fetch(`${base}/api/pull`, { ...postJson({ model: 'org/other' }), ...(signal && { signal }) })
  hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { file: 'onnx/model.onnx', method: 'GET' })
  const leave = new AbortController()
  const reader = (await pull(leave.signal)).body?.getReader()
  hub.release()
  let told = ''
  while (!/"completed":[1-9]\d{5}/.test(told)) told += new TextDecoder().decode((await reader?.read())?.value)
  leave.abort()
  hub.heal()
  expect(await (await pull()).text()).toMatch(/\{"status":"success"\}\n$/)
  const [, resumed = ''] = hub.requestsFor('GET', 'onnx/model.onnx').flatMap(({ origin, headers }) => {
    return origin === 'cdn' ? [headers.range ?? 'none'] : []
  })
  expect(Number(/^bytes=(\d+)-$/.exec(resumed)?.[1])).toBeGreaterThan(100_000)
  expect(times('loading')).toBe(0)
})
