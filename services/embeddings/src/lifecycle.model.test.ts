/** The service as people start it, with the demo model's files behind a hub of the test's own. */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startHubServer } from '@hearth/shared/testing/hub-server'
import type { HubServer } from '@hearth/shared/testing/hub-server'
import { postJson, startProcess } from '@hearth/shared/testing/service-process'
import { settle } from '@hearth/shared/testing/signals'
import { describe, expect, onTestFinished, test } from 'vitest'

const PROGRAM = join(import.meta.dirname, 'main.ts')
const DEMO = join(import.meta.dirname, '../../../models/demo/minilm')
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']

async function setUp(broken: Record<string, string> = {}) {
  const files = FILES.map((file) => {
    const text = broken[file]
    const content = text === undefined ? readFileSync(join(DEMO, file)) : new TextEncoder().encode(text)
    return [file, { content, isLarge: file.endsWith('.onnx') }] as const
  })
  const hub = await startHubServer(Object.fromEntries(files))
  const home = await mkdtemp(join(tmpdir(), 'hearth-lifecycle-'))
  onTestFinished(async () => {
    hub.close()
    await rm(home, { recursive: true, force: true })
  })
  const start = (env: Record<string, string> = {}) =>
    startProcess(PROGRAM, {
      EMBEDDINGS_PORT: '0',
      EMBEDDINGS_MODEL: 'org/first',
      EMBEDDINGS_THREADS: '1',
      HF_ENDPOINT: hub.endpoint,
      HF_HOME: home,
      HEARTH_HOME: home,
      ...env,
    })
  return { hub, home, start }
}

const embed = (input: string[] = ['a few words']) => postJson({ input })
const weightsFetched = (hub: HubServer) =>
  hub.requests.filter(({ origin, method }) => origin === 'cdn' && method === 'GET').length

describe('a lazy service', () => {
  test('loads nothing until the first of fifty requests, and then once', async () => {
    const { hub, start } = await setUp()
    const { call, times } = await start({ EMBEDDINGS_PRELOAD: 'lazy' })
    expect((await call('/ready')).body.models).toMatchObject([{ id: 'org/first', state: 'idle', preload: 'lazy' }])
    expect(hub.requests).toEqual([])
    const answers = await Promise.all(Array.from({ length: 50 }, () => call('/v1/embeddings', embed())))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect([times('loading'), weightsFetched(hub)]).toEqual([1, 1])
  })
})

describe('an unused model', () => {
  test('goes after its time, and the next request brings it back', async () => {
    const { start } = await setUp()
    const { call, times, inState } = await start({ EMBEDDINGS_KEEP_ALIVE: '250ms' })
    await inState('ready')
    await inState('stopped')
    // On a busy machine one of its rehearsals may come later than that, and bring it back once more.
    while ((await call('/api/ps')).body.models.length > 0) await settle()
    expect((await call('/v1/embeddings', embed())).status).toBe(200)
    expect(times('loading')).toBeGreaterThan(1)
  })

  test('goes when it is told to, with its threads; requests under way end first, and later ones bring it back', async () => {
    const { start } = await setUp()
    const { call, child } = await start({ EMBEDDINGS_PRELOAD: 'lazy' })
    const threads = () => (process.platform === 'linux' ? readdirSync(`/proc/${child.pid}/task`).length : 0)
    const unload = () => call('/api/ps/org%2Ffirst', { method: 'DELETE' })
    // The first use is followed by a rehearsal, which would bring it back too.
    await call('/v1/embeddings', embed())
    while ((await call('/ready')).body.models[0].state !== 'ready') await settle()
    const loaded = threads()
    const answers = Promise.all(Array.from({ length: 20 }, () => call('/v1/embeddings', embed())))
    expect(await unload()).toMatchObject({ status: 200, body: { status: 'success' } })
    expect(new Set((await answers).map(({ status }) => status))).toEqual(new Set([200]))
    await unload()
    expect((await call('/api/ps')).body).toEqual({ models: [] })
    expect(process.platform === 'linux' ? threads() : -1).toBeLessThan(loaded)
  })
})

test('a change of the model under fire fails no request, and no answer mixes two models', async () => {
  const { start } = await setUp()
  const { call } = await start({ EMBEDDINGS_MODELS: 'org/second' })
  const fires = { on: true }
  const seen: { status: number; model: string }[] = []
  const fire = async () => {
    while (fires.on) {
      const { status, body } = await call('/v1/embeddings', embed(['one', 'two', 'three']))
      seen.push({ status, model: body.model })
    }
  }
  const clients = Array.from({ length: 6 }, fire)
  while (seen.length < 12) await settle()
  expect((await call('/api/ps/org%2Fsecond', { method: 'POST' })).body.models[0]).toMatchObject({ name: 'org/second' })
  const before = seen.length
  while (seen.length < before + 24) await settle()
  fires.on = false
  await Promise.all(clients)
  expect(seen.filter(({ status }) => status !== 200)).toEqual([])
  expect([seen[0]?.model, seen.at(-1)?.model]).toEqual(['org/first', 'org/second'])
})

test('a model that the hub does not give is not replaced by the demo, which comes only for who asks for it', async () => {
  const { hub, start } = await setUp()
  const { call, inState } = await start({ EMBEDDINGS_MODELS: 'org/second' })
  await inState('ready')
  hub.close()
  const refused = await call('/api/ps/org%2Fsecond', { method: 'POST' })
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'model_failed' } } })
  expect(refused.body.error.message).toContain("can't be reached")
  const pulled = await call('/api/pull', postJson({ model: 'org/second', stream: false }))
  expect(pulled).toMatchObject({ status: 503, body: { error: expect.stringContaining("can't be reached") } })
  expect((await call('/v1/embeddings', embed())).body.model).toBe('org/first')
  expect((await call('/api/ps/demo%2Fminilm', { method: 'POST' })).status).toBe(200)
  expect((await call('/v1/embeddings', embed())).body.model).toBe('demo/minilm')
})

describe('damaged files', () => {
  /** Writes over what a file in the cache is a link to. */
  async function damage(home: string, file: string, content: string): Promise<void> {
    const snapshots = join(home, 'hub/models--org--first/snapshots')
    const [commit = ''] = readdirSync(snapshots)
    await writeFile(join(snapshots, commit, file), content)
  }

  test.each([
    ['onnx/model.onnx', 'this is no graph'],
    ['tokenizer.json', '{"version": '],
  ])('%s in the cache is fetched anew, once, and the model serves', async (file, content) => {
    const { hub, home, start } = await setUp()
    const first = await start()
    await first.inState('ready')
    first.child.kill('SIGTERM')
    expect(await first.end()).toBe(0)
    await damage(home, file, content)
    hub.requests.length = 0
    const { call, logged, times } = await start()
    await logged(({ msg }) => msg === 'model failed')
    expect((await call('/v1/embeddings', embed())).status).toBe(200)
    expect([times('failed'), times('loading')]).toEqual([1, 2])
    expect(hub.requestsFor('HEAD', file).length).toBeGreaterThan(0)
  })

  test.each([
    ['onnx/model.onnx', 'this is no graph', 'engine'],
    ['tokenizer.json', '{"version": ', "can't be read"],
  ])('%s that is so at the hub fails with its reason, and the service stays useful', async (file, content, reason) => {
    const { start } = await setUp({ [file]: content })
    const { call, logged } = await start()
    await logged((line) => line.msg === 'model failed' && Number(line['retryInMs']) >= 400)
    const { status, body } = await call('/ready')
    expect([status, body.models[0].preload]).toEqual([503, 'background'])
    expect(body.models[0].error).toContain(reason)
    expect(await call('/v1/embeddings', embed())).toMatchObject({
      status: 503,
      body: { error: { code: 'model_failed' } },
    })
    expect((await call('/v1/models')).status).toBe(200)
  })
})
