import { afterEach, describe, expect, test } from 'vitest'
import { EngineThread } from './engine-thread.ts'
import { AppError } from './errors.ts'
import { Model, type ModelOptions } from './model.ts'
import type { ModelFiles } from './model-store.ts'
import { createLogger } from './telemetry.ts'
import { type FakeInput, fakeInput, type FakeOptions, type FakeOutput } from './testing/fake-engine.ts'
import { gate, ManualClock, never, settle } from './testing/signals.ts'

type Options = Partial<ModelOptions<FakeInput, FakeOutput, number>>

const FILES: ModelFiles = { dir: 'nowhere', source: 'cache', revision: null, id: 'org/fake', warning: null }
const models: Model<FakeInput, FakeOutput, number>[] = []

function setUp(engine: FakeOptions = {}, options: Options = {}) {
  const clock = new ManualClock()
  const seen = { fetches: 0, threads: 0 }
  const model = new Model<FakeInput, FakeOutput, number>({
    name: 'fake',
    maxBatchSize: 2,
    fetch: async () => {
      seen.fetches++
      return FILES
    },
    createThread: () => {
      seen.threads++
      return new EngineThread({
        module: new URL('./testing/fake-engine.ts', import.meta.url),
        options: engine,
        name: 'fake',
      })
    },
    log: createLogger({ service: 'test', level: 'silent' }),
    now: clock.now,
    setTimer: clock.setTimer,
    ...options,
  })
  models.push(model)
  return { model, clock, seen }
}

afterEach(async () => {
  for (const model of models.splice(0)) await model.close()
})

/** Waits for a state that is on its way; the test's own limit ends it. */
async function until(model: Model<FakeInput, FakeOutput, number>, state: string) {
  while (model.status.state !== state) await settle()
}

describe('loading', () => {
  test('goes through its states once for many first requests, and serves them all', async () => {
    const { model, seen } = setUp()
    expect(model.status.state).toBe('idle')
    const results = await Promise.all([1, 2, 3, 4, 5].map((value) => model.submit(fakeInput(value), never)))
    expect(results.map(({ output }) => output.data[0])).toEqual([2, 4, 6, 8, 10])
    expect(results[0]?.model).toBe('org/fake')
    expect(seen).toEqual({ fetches: 1, threads: 1 })
  })

  test('tells where it stands: progress, then source, times and readiness', async () => {
    const fetching = gate<ModelFiles>()
    const { model } = setUp(
      {},
      {
        fetch: (onProgress) => {
          onProgress({ bytes: 5, totalBytes: 10 })
          return fetching.promise
        },
      },
    )
    model.start()
    expect(model.status).toMatchObject({ state: 'fetching', progress: { bytes: 5, totalBytes: 10 } })
    fetching.resolve({ ...FILES, source: 'demo', warning: 'only a demo' })
    await model.ready(never)
    expect(model.status).toMatchObject({
      id: 'org/fake',
      state: 'ready',
      source: 'demo',
      warning: 'only a demo',
      progress: null,
      error: null,
    })
    for (const ms of [model.status.loadMs, model.status.firstInferenceMs, model.status.secondInferenceMs])
      expect(ms).toBeGreaterThan(0)
  })

  test('a request that comes early is held, up to a limit that tells when to come back', async () => {
    const { model, clock } = setUp({}, { fetch: () => new Promise(() => undefined), coldHoldMs: 1000 })
    const held = model.submit(fakeInput(1), never)
    held.catch(() => undefined)
    await settle()
    clock.advance(999)
    await settle()
    clock.advance(1)
    await expect(held).rejects.toMatchObject({
      code: 'model_loading',
      status: 503,
      retryAfterMs: 5000,
      details: { loading: { state: 'fetching' } },
    })
    expect(clock.pending).toEqual([])
  })

  test('a held request leaves at once when its caller does', async () => {
    const { model, clock } = setUp({}, { fetch: () => new Promise(() => undefined) })
    const controller = new AbortController()
    const held = model.submit(fakeInput(1), controller.signal)
    controller.abort(new Error('gone'))
    await expect(held).rejects.toThrow('gone')
    expect(clock.pending).toEqual([])
  })

  test('takes the smaller of both batch sizes', async () => {
    const { model } = setUp({ maxBatchSize: 4 }, { maxBatchSize: 2 })
    await model.ready(never)
    const results = await Promise.all([1, 2, 3].map((value) => model.submit(fakeInput(value), never)))
    expect(results.map(({ batchSize }) => batchSize)).toEqual([2, 2, 1])
  })
})

describe('failing', () => {
  test('a failed fetch is tried again with back-off, and what was held is served', async () => {
    let left = 2
    const { model, clock } = setUp(
      {},
      {
        fetch: async () => {
          if (left-- > 0) throw new AppError('dependency_unavailable', 'the hub is away')
          return FILES
        },
      },
    )
    const held = model.submit(fakeInput(1), never)
    await until(model, 'failed')
    expect(model.status.error).toBe('the hub is away')
    expect(clock.pending).toContain(100)
    clock.advance(100)
    await until(model, 'failed')
    await settle()
    expect(clock.pending).toContain(200)
    clock.advance(200)
    expect((await held).output.data[0]).toBe(2)
    expect(model.status.error).toBeNull()
  })

  test('files that can not be loaded are set aside and fetched anew, once', async () => {
    const setAside: string[] = []
    const loadFailures = new SharedArrayBuffer(4)
    new Int32Array(loadFailures)[0] = 2
    const { model, clock, seen } = setUp({ loadFailures }, { onDamaged: async ({ id }) => void setAside.push(id) })
    model.start()
    await until(model, 'failed')
    await settle()
    clock.advance(100)
    await until(model, 'failed')
    await settle()
    clock.advance(200)
    await model.ready(never)
    expect(setAside).toEqual(['org/fake'])
    expect(seen.fetches).toBe(3)
  })

  test('a crashed engine fails what was in flight, is loaded again by itself, and serves again', async () => {
    const { model, clock, seen } = setUp()
    await model.ready(never)
    const crashed = model.submit({ ...fakeInput(1), do: 'exit' }, never)
    await expect(crashed).rejects.toMatchObject({ code: 'engine_failed' })
    await until(model, 'failed')
    const held = model.submit(fakeInput(2), never)
    clock.advance(100)
    expect((await held).output.data[0]).toBe(4)
    expect(seen.threads).toBe(2)
  })
})

describe('closing', () => {
  test('refuses what comes, and is stopped', async () => {
    const { model } = setUp()
    await model.ready(never)
    await model.close()
    expect(model.status.state).toBe('stopped')
    await expect(model.submit(fakeInput(1), never)).rejects.toMatchObject({ code: 'draining' })
  })

  test('while it is still loading, what was held is refused', async () => {
    const { model } = setUp(
      {},
      {
        fetch: (_onProgress, signal) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
    )
    const held = model.submit(fakeInput(1), never)
    held.catch(() => undefined)
    await settle()
    await model.close()
    await expect(held).rejects.toMatchObject({ code: 'draining' })
    expect(model.status.state).toBe('stopped')
  })
})
