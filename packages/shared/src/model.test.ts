import type { ResourceLimits } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EngineThread } from './engine-thread.ts'
import { AppError } from './errors.ts'
import { Model, type ModelOptions } from './model.ts'
import type { FetchProgress } from './model-status.ts'
import type { ModelFiles } from './model-store.ts'
import { FakeControl } from './testing/fake-control.ts'
import { type FakeInput, fakeInput, type FakeOptions, type FakeOutput } from './testing/fake-engine.ts'
import { abortListeners, gate, ManualClock, never, settle } from './testing/signals.ts'

type Options = Partial<ModelOptions<FakeInput, FakeOutput, number>>

const FILES: ModelFiles = { dir: 'nowhere', source: 'cache', revision: null, id: 'org/fake', warning: null }
/** A source that never answers, not even to an abort. */
const silent = () => new Promise<never>(() => undefined)
const away = new AppError('dependency_unavailable', 'the hub is away')

/** A model on real engine threads; its timers fire when the test says so. */
function setUp(engine: FakeOptions = {}, options: Options = {}, resourceLimits: ResourceLimits = {}) {
  const clock = new ManualClock()
  const control = new FakeControl()
  const threads = watchThreads({ shared: control.shared, ...engine }, resourceLimits)
  const transitions: string[] = []
  let before = 'idle'
  const logged: object[] = []
  const seen = { fetches: 0 }
  const model = new Model<FakeInput, FakeOutput, number>({
    name: 'fake',
    maxBatchSize: 2,
    fetch: async () => {
      seen.fetches++
      return FILES
    },
    createThread: threads.create,
    log: { info: (entry: object) => void logged.push(entry), error: (entry: object) => void logged.push(entry) },
    metrics: {
      observeBatch: () => undefined,
      setModelState: (name, state) => {
        transitions.push(`${name}: ${before} > ${state}`)
        before = state
      },
    },
    now: clock.now,
    setTimer: clock.setTimer,
    ...options,
  })
  onTestFinished(async () => {
    control.open()
    await model.close()
  })
  const submit = (input: FakeInput, signal = never) => {
    const result = model.submit(input, signal)
    result.catch(() => undefined)
    return result
  }
  /** Waits for a state that is on its way; the test's own limit ends it. */
  const until = async (state: string) => {
    while (model.status.state !== state) await settle()
    await settle()
  }
  return { model, clock, control, threads, transitions, logged, seen, submit, until }
}

/** Creates engine threads, and counts how many live at a time. */
function watchThreads(options: FakeOptions, resourceLimits: ResourceLimits) {
  const seen = { created: 0, alive: 0, most: 0 }
  const create = () => {
    const module = new URL('./testing/fake-engine.ts', import.meta.url)
    const thread = new EngineThread<FakeInput, FakeOutput, number>({
      module,
      options,
      name: 'fake',
      closeMs: 500,
      resourceLimits,
    })
    seen.created++
    seen.most = Math.max(seen.most, ++seen.alive)
    let isAlive = true
    const end = () => {
      if (isAlive) seen.alive--
      isAlive = false
    }
    void thread.crashed.then(end)
    const close = thread.close.bind(thread)
    thread.close = () => close().finally(end)
    return thread
  }
  return { create, seen }
}

const doubled = (result: { output: FakeOutput }) => [...result.output.data]

describe('loading', () => {
  test('goes through its states once for many first requests, and serves them all', async () => {
    const { model, submit, seen, threads, transitions } = setUp()
    expect(model.status.state).toBe('idle')
    const results = await Promise.all([1, 2, 3, 4, 5].map((value) => submit(fakeInput(value))))
    expect(results.map(doubled)).toEqual([[2], [4], [6], [8], [10]])
    expect(results[0]?.model).toBe('org/fake')
    expect([seen.fetches, threads.seen.created]).toEqual([1, 1])
    expect(transitions).toEqual([
      'fake: idle > fetching',
      'fake: fetching > loading',
      'fake: loading > warming',
      'fake: warming > ready',
    ])
  })

  test('has the name of the model it looks for from the start', () => {
    const { model } = setUp({}, { id: 'org/wanted' })
    expect(model.status).toMatchObject({ id: 'org/wanted', state: 'idle' })
  })

  test('starts once, however often it is told to', async () => {
    const { model, seen, threads } = setUp()
    model.start()
    model.start()
    await model.ready(never)
    model.start()
    expect([seen.fetches, threads.seen.created]).toEqual([1, 1])
  })

  test('tells where it stands: progress, then source, times and readiness', async () => {
    const fetching = gate<ModelFiles>()
    let report: (progress: FetchProgress) => void = () => undefined
    const { model } = setUp(
      {},
      {
        fetch: (onProgress) => {
          report = onProgress
          report({ bytes: 5, totalBytes: 10, downloadedBytes: 5 })
          return fetching.promise
        },
      },
    )
    model.start()
    expect(model.status).toMatchObject({ id: 'fake', state: 'fetching', progress: { bytes: 5, totalBytes: 10 } })
    fetching.resolve({ ...FILES, source: 'demo', id: 'demo/fake', warning: 'only a demo' })
    await model.ready(never)
    report({ bytes: 10, totalBytes: 10, downloadedBytes: 10 }) // late news
    expect(model.status).toEqual({
      id: 'demo/fake',
      state: 'ready',
      source: 'demo',
      revision: null,
      warning: 'only a demo',
      progress: null,
      error: null,
      loadMs: expect.any(Number),
      firstInferenceMs: expect.any(Number),
      secondInferenceMs: null,
      warming: true,
      boot: expect.objectContaining({ readyMs: expect.any(Number) }),
    })
  })

  test('knows what each part of the start took, what came from the hub, and the memory before and after', async () => {
    const files = gate<ModelFiles>()
    const loading = gate()
    const { model, clock, until } = setUp({}, { fetch: () => files.promise, prepare: () => loading.promise })
    expect(model.status.boot).toBeUndefined()
    model.start()
    clock.advance(300)
    files.resolve({ ...FILES, bytes: 90, downloadedBytes: 40 })
    await until('loading')
    expect(model.status.boot).toMatchObject({ fetchMs: 300, loadMs: null, readyMs: null, residentBytesAfter: null })
    clock.advance(70)
    loading.resolve()
    await model.ready(never)
    expect(model.status.boot).toMatchObject({
      bytes: 90,
      downloadedBytes: 40,
      fetchMs: 300,
      loadMs: 70,
      warmUpMs: 0,
      readyMs: 370,
    })
    const { residentBytesBefore = 0, residentBytesAfter } = model.status.boot ?? {}
    expect(Math.min(residentBytesBefore, residentBytesAfter ?? 0)).toBeGreaterThan(1e6)
  })

  test('calls it a download when the first bytes have come from the hub, not when files are looked for', async () => {
    const files = gate<ModelFiles>()
    const report = gate<(downloadedBytes: number) => void>()
    const { model, logged, clock } = setUp(
      {},
      {
        fetch: (onProgress) => {
          report.resolve((downloadedBytes) =>
            onProgress({ bytes: 50 + downloadedBytes, totalBytes: 100, downloadedBytes }),
          )
          return files.promise
        },
      },
    )
    model.start()
    const tell = await report.promise
    tell(0)
    expect([logged, model.status.progress]).toEqual([
      [],
      { bytes: 50, totalBytes: 100, downloadedBytes: 0, percent: 50, bytesPerSecond: null, remainingMs: null },
    ])
    tell(10)
    clock.advance(1000)
    tell(30)
    expect(logged).toEqual([{ model: 'fake', totalBytes: 100 }])
    expect(model.status.progress).toMatchObject({ percent: 80, bytesPerSecond: 20, remainingMs: 1000 })
    files.resolve(FILES)
    await model.ready(never)
    expect(model.status.progress).toBeNull()
  })

  test('logs every change of state, and never an input', async () => {
    const { logged, submit } = setUp()
    await submit(fakeInput(31_337))
    expect(logged).toMatchObject([
      { to: 'loading', model: 'org/fake', source: 'cache' },
      { from: 'loading', to: 'warming' },
      { from: 'warming', to: 'ready', model: 'org/fake' },
    ])
    expect(JSON.stringify(logged)).not.toContain('31337')
  })

  test('takes the smaller of both batch sizes', async () => {
    const { model, submit } = setUp({ maxBatchSize: 4 }, { maxBatchSize: 2 })
    await model.ready(never)
    const results = await Promise.all([1, 2, 3].map((value) => submit(fakeInput(value))))
    expect(results.map(({ batchSize }) => batchSize)).toEqual([2, 2, 1])
  })
})

describe('a request that comes early', () => {
  test('is held up to a limit, which tells how far the model is and when to come back', async () => {
    const progress = gate<(bytes: number) => void>()
    const { clock, submit } = setUp(
      {},
      {
        coldHoldMs: 1000,
        fetch: (onProgress) => {
          progress.resolve((bytes) => onProgress({ bytes, totalBytes: 100, downloadedBytes: bytes }))
          return silent()
        },
      },
    )
    const held = submit(fakeInput(1))
    const report = await progress.promise
    report(20)
    clock.advance(500)
    report(40)
    clock.advance(499)
    await settle()
    expect(await Promise.race([held, Promise.resolve('held')])).toBe('held')
    clock.advance(1)
    await expect(held).rejects.toMatchObject({
      code: 'model_loading',
      status: 503,
      retryAfterMs: 3000,
      details: { loading: { model: 'fake', state: 'fetching', progress: 40, bytes_sent: 40, total_bytes: 100 } },
    })
    expect(clock.pending).toEqual([])
  })

  test('is held no longer than its caller wants', async () => {
    const { clock, model, submit } = setUp({}, { coldHoldMs: 1000, fetch: silent })
    const held = model.submit(fakeInput(1), never, undefined, 250)
    const patient = submit(fakeInput(1))
    clock.advance(250)
    await expect(held).rejects.toMatchObject({ code: 'model_loading', details: { loading: { state: 'fetching' } } })
    expect(await Promise.race([patient, Promise.resolve('held')])).toBe('held')
    const impatient = model.ready(never, 0)
    clock.advance(0)
    await expect(impatient).rejects.toMatchObject({ code: 'model_loading' })
  })

  test('fifty times over loads the model once, and all are served', async () => {
    const { submit, seen, threads } = setUp({}, { maxQueueSize: 50 })
    const results = await Promise.all(Array.from({ length: 50 }, (_, value) => submit(fakeInput(value))))
    expect(results.map((result) => doubled(result)[0])).toEqual(Array.from({ length: 50 }, (_, value) => 2 * value))
    expect([seen.fetches, threads.seen.created]).toEqual([1, 1])
  })

  test('says in queueMs how long it was held', async () => {
    const fetching = gate<ModelFiles>()
    const { clock, submit } = setUp({}, { fetch: () => fetching.promise })
    const held = submit(fakeInput(1))
    await settle()
    clock.advance(700)
    fetching.resolve(FILES)
    expect((await held).queueMs).toBe(700)
  })

  test('leaves at once when its caller does, and nothing of it stays', async () => {
    const { clock, submit, seen } = setUp({}, { fetch: silent })
    const controller = new AbortController()
    const held = submit(fakeInput(1), controller.signal)
    await settle()
    controller.abort(new Error('gone'))
    await expect(held).rejects.toThrow('gone')
    expect([clock.pending, abortListeners(controller.signal)]).toEqual([[], 0])
    await expect(submit(fakeInput(1), controller.signal)).rejects.toThrow('gone')
    expect(seen.fetches).toBe(0)
  })

  test('leaves no listener on a signal that outlives it', async () => {
    const { submit } = setUp()
    const { signal } = new AbortController()
    await submit(fakeInput(1), signal)
    await submit({ ...fakeInput(1), do: 'fail' }, signal).catch(() => undefined)
    expect(abortListeners(signal)).toBe(0)
  })

  test('is refused at once while as many are held as the queue may hold', async () => {
    const { submit, model } = setUp({}, { fetch: silent, maxQueueSize: 2 })
    const controller = new AbortController()
    const leaving = submit(fakeInput(0), controller.signal)
    const held = [submit(fakeInput(1))]
    await settle()
    await expect(submit(fakeInput(2))).rejects.toMatchObject({ code: 'model_loading' })
    controller.abort(new Error('gone'))
    await expect(leaving).rejects.toThrow('gone')
    held.push(submit(fakeInput(3)))
    await settle()
    await model.close()
    for (const one of held) await expect(one).rejects.toMatchObject({ code: 'draining' })
  })
})

describe('a policy', () => {
  test.each(['eager', 'background'] as const)('%s begins at once', (preload) => {
    const { model } = setUp({}, { preload, fetch: silent })
    model.preload()
    expect(model.status).toMatchObject({ state: 'fetching', preload })
  })

  test('lazy leaves it to the first request', async () => {
    const { model, submit } = setUp({}, { preload: 'lazy' })
    model.preload()
    expect(model.status).toMatchObject({ state: 'idle', preload: 'lazy' })
    expect(doubled(await submit(fakeInput(1)))).toEqual([2])
  })

  test('eager becomes background when the load fails, and says why and when it is tried again', async () => {
    let isAway = true
    const fetch = async () => {
      if (isAway) throw away
      return FILES
    }
    const { model, clock, until, logged } = setUp({}, { preload: 'eager', fetch })
    model.preload()
    await until('failed')
    expect(model.status).toMatchObject({ preload: 'background', error: 'the hub is away', retryInMs: 100 })
    expect(logged).toContainEqual(expect.objectContaining({ preload: 'background', retryInMs: 100 }))
    clock.advance(60)
    expect(model.status.retryInMs).toBe(40)
    isAway = false
    clock.advance(40)
    expect(model.status).toMatchObject({ state: 'fetching', error: 'the hub is away', preload: 'background' })
    await until('ready')
    expect(model.status).toMatchObject({ preload: 'eager', error: null })
    expect(model.status).not.toHaveProperty('retryInMs')
  })

  test('of who listens hears of every change', async () => {
    const states: string[] = []
    const { model } = setUp({}, { onStatus: () => states.push(model.status.state) })
    await model.ready(never)
    expect(states).toEqual(['fetching', 'loading', 'warming', 'ready'])
  })
})

describe('the rest of the warm-up', () => {
  /** Moments in which nobody asks for anything, until it is over. */
  async function pass({ model, clock }: Pick<ReturnType<typeof setUp>, 'model' | 'clock'>, moments = Infinity) {
    for (let count = 0; model.status.warming && count < moments; count++) {
      // While a part runs no time passes: there would be an end to it.
      if (clock.pending.length > 0) clock.advance(20)
      await settle()
    }
  }

  test('comes after ready, until nothing is cold', async () => {
    const warm = gate()
    const made = setUp({}, { onWarm: warm.resolve })
    const { model, control } = made
    await model.ready(never)
    expect([control.get('runs'), model.status.warming, model.status.secondInferenceMs]).toEqual([1, true, null])
    await pass(made)
    await warm.promise
    expect([control.get('runs'), control.get('rows')]).toEqual([2 + 1 + 2, 2 + 1 + 2 * 4])
    expect(model.status).toMatchObject({ state: 'ready', warming: false, secondInferenceMs: expect.any(Number) })
    expect(model.status.boot?.warmMs).toBeGreaterThan(model.status.boot?.readyMs ?? Infinity)
  })

  test('lets requests go first, and what lies between their parts', async () => {
    let isInUse = true
    const made = setUp({}, { isInUse: () => isInUse })
    const { model, control, submit } = made
    await model.ready(never)
    await pass(made, 10)
    expect(control.get('runs')).toBe(1)
    const request = submit({ ...fakeInput(1), do: 'wait' })
    // After the load and the first inference.
    await control.entered(3)
    isInUse = false
    await pass(made, 10)
    expect(control.get('runs')).toBe(2)
    control.open()
    await request
    await pass(made)
    expect(control.get('runs')).toBe(1 + 5)
  })

  test('holds up nobody who comes in the midst of it', async () => {
    const made = setUp({ laterWarmup: 'wait-for-abort' })
    await made.model.ready(never)
    while (made.control.get('runs') < 3) await pass(made, 1)
    expect(doubled(await made.submit(fakeInput(4)))).toEqual([8])
    const closed = made.model.close()
    expect(made.model.status).toMatchObject({ state: 'draining', warming: false })
    await closed
    expect(made.model.status.state).toBe('stopped')
  })

  test('that fails is told, and the model goes on serving', async () => {
    const made = setUp({ laterWarmup: 'fail' })
    const { model, submit, logged } = made
    await model.ready(never)
    await pass(made)
    expect(model.status).toMatchObject({ state: 'ready', warning: expect.stringContaining('warm-up failed') })
    expect(logged).toContainEqual(
      expect.objectContaining({ err: expect.objectContaining({ message: 'this row is bad' }) }),
    )
    expect(doubled(await submit(fakeInput(4)))).toEqual([8])
  })

  test('that the thread dies of is not tried again: the model comes back without it', async () => {
    const made = setUp({ laterWarmup: 'exit' })
    const { model, clock, threads, until } = made
    await model.ready(never)
    while (model.status.state === 'ready') await pass(made, 1)
    clock.advance(100)
    await until('ready')
    await pass(made, 100)
    expect([model.status.state, threads.seen.created]).toEqual(['ready', 2])
    expect(model.status).toMatchObject({ warming: false, warning: expect.stringContaining('warm-up failed') })
  })

  test('is done again with the engine that follows one which died of something else', async () => {
    const made = setUp()
    const { model, clock, submit, until, control } = made
    await model.ready(never)
    await submit({ ...fakeInput(1), do: 'exit' }).catch(() => undefined)
    await until('failed')
    clock.advance(100)
    await until('ready')
    const before = control.get('runs')
    await pass(made)
    expect([control.get('runs') - before, model.status.warning]).toEqual([4, null])
  })

  test('comes before ready where another model serves meanwhile', async () => {
    const { model, control } = setUp({}, { isReplacement: true })
    await model.ready(never)
    expect([control.get('runs'), model.status.secondInferenceMs]).toEqual([5, expect.any(Number)])
  })

  test('of one that is to replace another fails it', async () => {
    const { model, until } = setUp({ laterWarmup: 'fail' }, { isReplacement: true })
    model.start()
    await until('failed')
    expect(model.status.error).toBe('the engine fake failed')
  })
})

describe('failing', () => {
  test('a failed fetch is tried again with back-off, and what was held is served', async () => {
    let left = 2
    const { model, clock, submit, until } = setUp(
      {},
      {
        fetch: async () => {
          if (left-- > 0) throw away
          return FILES
        },
      },
    )
    const held = submit(fakeInput(1))
    await until('failed')
    expect(model.status.error).toBe('the hub is away')
    expect(clock.pending).toContain(100)
    clock.advance(100)
    await until('failed')
    expect(clock.pending).toContain(200)
    clock.advance(200)
    expect(doubled(await held)).toEqual([2])
    expect(model.status.error).toBeNull()
  })

  test('the back-off doubles up to 30 s, and starts over once the model was ready', async () => {
    let isAway = true
    const { model, clock, submit, until } = setUp(
      {},
      {
        fetch: async () => {
          if (isAway) throw away
          return FILES
        },
      },
    )
    model.start()
    const waits: number[] = []
    for (let failure = 0; failure < 11; failure++) {
      await until('failed')
      const [waitMs = 0] = clock.pending
      waits.push(waitMs)
      isAway = failure < 10
      clock.advance(waitMs)
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
    await until('ready')
    await submit({ ...fakeInput(1), do: 'exit' }).catch(() => undefined)
    await until('failed')
    expect(clock.pending).toEqual([100])
  })

  test('after three failures in a row nobody is held any more: the error is told at once', async () => {
    const fetches: (() => void)[] = []
    const { clock, submit, until, model } = setUp(
      {},
      { fetch: () => new Promise((_, reject) => fetches.push(() => reject(away))) },
    )
    const held = submit(fakeInput(1))
    for (const waitMs of [100, 200]) {
      await settle()
      fetches.shift()?.()
      await until('failed')
      clock.advance(waitMs)
    }
    expect(await Promise.race([held, Promise.resolve('held')])).toBe('held')
    await settle()
    fetches.shift()?.()
    await expect(held).rejects.toMatchObject({ code: 'model_failed', status: 503 })
    await expect(submit(fakeInput(1))).rejects.toMatchObject({ message: expect.stringContaining('the hub is away') })
    clock.advance(400)
    expect(model.status.state).toBe('fetching')
    await expect(submit(fakeInput(1))).rejects.toMatchObject({ code: 'model_failed' })
  })

  test('an error that is not meant for callers stays in the log', async () => {
    const fetch = () => Promise.reject(new TypeError('secret detail'))
    const { model, logged, until } = setUp({}, { fetch })
    model.start()
    await until('failed')
    expect(model.status.error).toBe('internal error')
    expect(logged).toContainEqual(
      expect.objectContaining({ model: 'fake', code: 'internal_error', err: new TypeError('secret detail') }),
    )
  })
})

describe('files that can not be loaded', () => {
  const failing = (times: number) => {
    const loadFailures = new SharedArrayBuffer(4)
    new Int32Array(loadFailures)[0] = times
    return { loadFailures }
  }

  test('are set aside and fetched anew, once, one engine at a time', async () => {
    const damaged: string[] = []
    const { model, clock, seen, threads, until } = setUp(failing(2), {
      onDamaged: async ({ id }) => void damaged.push(id),
    })
    model.start()
    for (const waitMs of [100, 200]) {
      await until('failed')
      clock.advance(waitMs)
    }
    await model.ready(never)
    expect(damaged).toEqual(['org/fake'])
    expect(seen.fetches).toBe(3)
    expect(threads.seen).toMatchObject({ created: 3, most: 1, alive: 1 })
  })

  test.each(['local', 'demo'] as const)('but are not ours (%s) stay where they are', async (source) => {
    const damaged: string[] = []
    const { model, clock, until } = setUp(failing(1), {
      fetch: async () => ({ ...FILES, source }),
      onDamaged: async ({ id }) => void damaged.push(id),
    })
    model.start()
    await until('failed')
    clock.advance(100)
    await model.ready(never)
    expect(damaged).toEqual([])
  })

  test('and can not be set aside are tried again all the same', async () => {
    const { model, clock, logged, until } = setUp(failing(1), {
      onDamaged: () => Promise.reject(new Error('read-only')),
    })
    model.start()
    await until('failed')
    clock.advance(100)
    await model.ready(never)
    expect(logged).toContainEqual({ model: 'org/fake', err: new Error('read-only') })
  })

  test('are suspected too when the serving side can not read them, and no engine is started on them', async () => {
    const damaged: string[] = []
    const reads = [Promise.reject(new SyntaxError('no JSON')), Promise.resolve()]
    reads[0]?.catch(() => undefined)
    const { model, clock, seen, threads, until } = setUp(
      {},
      { prepare: () => reads.shift() ?? Promise.resolve(), onDamaged: async ({ id }) => void damaged.push(id) },
    )
    model.start()
    await until('failed')
    expect([damaged, threads.seen.created]).toEqual([['org/fake'], 0])
    expect(model.status.error).toBe("the files of org/fake can't be read")
    clock.advance(100)
    await model.ready(never)
    expect([seen.fetches, threads.seen.created]).toEqual([2, 1])
  })

  test('are not suspected when it was the fetch that failed, or the warm-up', async () => {
    const damaged: string[] = []
    const onDamaged = async ({ id }: ModelFiles) => void damaged.push(id)
    const fetching = setUp({}, { fetch: () => Promise.reject(away), onDamaged })
    const warming = setUp({ noWarmup: true }, { onDamaged })
    for (const { model, until } of [fetching, warming]) {
      model.start()
      await until('failed')
    }
    expect(warming.transitions.at(-1)).toBe('fake: warming > failed')
    expect(damaged).toEqual([])
  })
})

describe('a crash', () => {
  test('fails what was in flight; the model is loaded again by itself, and serves again', async () => {
    const { model, clock, submit, threads, transitions, until } = setUp()
    await model.ready(never)
    await expect(submit({ ...fakeInput(1), do: 'exit' })).rejects.toMatchObject({
      code: 'engine_failed',
      details: { crashed: true },
    })
    await until('failed')
    expect(model.status.error).toContain('ended unexpectedly')
    const held = submit(fakeInput(2))
    clock.advance(100)
    expect(doubled(await held)).toEqual([4])
    expect(threads.seen).toMatchObject({ created: 2, most: 1, alive: 1 })
    expect(transitions.slice(4)).toEqual([
      'fake: ready > failed',
      'fake: failed > fetching',
      'fake: fetching > loading',
      'fake: loading > warming',
      'fake: warming > ready',
    ])
  })

  test('also of an idle engine is noticed', async () => {
    const { model, until, submit, clock } = setUp()
    await model.ready(never)
    expect(doubled(await submit({ ...fakeInput(1), do: 'throw-when-idle' }))).toEqual([2])
    await until('failed')
    clock.advance(100)
    await model.ready(never)
    expect(model.status.error).toBeNull()
  })

  test('does not take those who only waited: the next engine serves them, in their order', async () => {
    const { model, clock, control, submit, until } = setUp({}, { maxBatchSize: 1 })
    await model.ready(never)
    const before = control.get('entered')
    const first = submit({ ...fakeInput(1), do: 'wait' })
    await control.entered(before + 1)
    const second = submit({ ...fakeInput(2), do: 'exit' })
    const order: number[] = []
    const others = [3, 4].map(async (value) => void order.push(...doubled(await submit(fakeInput(value)))))
    control.open()
    await first
    await expect(second).rejects.toMatchObject({ details: { crashed: true } })
    await until('failed')
    expect(order).toEqual([])
    clock.advance(100)
    await Promise.all(others)
    expect(order).toEqual([6, 8])
  })

  test.each(['exit', 'out-of-memory'] as const)(
    'while loading (%s) leaves the process alive: the next engine serves what was held',
    async (load) => {
      const loadFailures = new SharedArrayBuffer(4)
      new Int32Array(loadFailures)[0] = 1
      const limits = { maxOldGenerationSizeMb: 24 }
      const { model, clock, submit, threads, until } = setUp({ load, loadFailures }, {}, limits)
      const held = submit(fakeInput(1))
      await until('failed')
      expect(model.status.error).toContain('ended unexpectedly')
      clock.advance(100)
      expect(doubled(await held)).toEqual([2])
      expect(threads.seen).toMatchObject({ created: 2, most: 1, alive: 1 })
    },
  )

  test('by running out of memory costs the batch, not the process', async () => {
    const { model, clock, submit, until } = setUp({}, {}, { maxOldGenerationSizeMb: 24 })
    await model.ready(never)
    await expect(submit({ ...fakeInput(1), do: 'out-of-memory' })).rejects.toMatchObject({
      code: 'engine_failed',
      details: { crashed: true },
    })
    await until('failed')
    clock.advance(100)
    expect(doubled(await submit(fakeInput(2)))).toEqual([4])
  })

  test('while loading is a failure like others', async () => {
    const { model, threads, until, clock } = setUp({ load: 'exit' })
    model.start()
    await until('failed')
    expect(clock.pending).toEqual([100])
    expect(threads.seen.alive).toBe(0)
  })
})

describe('closing', () => {
  test('refuses what comes, and is stopped', async () => {
    const { model, submit, clock, threads } = setUp()
    await model.ready(never)
    await Promise.all([model.close(), model.close()])
    expect(model.status.state).toBe('stopped')
    await expect(submit(fakeInput(1))).rejects.toMatchObject({ code: 'draining' })
    expect([clock.pending, threads.seen.alive]).toEqual([[], 0])
  })

  test('lets the running batch end, and refuses what waits', async () => {
    const { model, control, submit } = setUp({}, { maxBatchSize: 1 })
    await model.ready(never)
    const before = control.get('entered')
    const running = submit({ ...fakeInput(1), do: 'wait' })
    await control.entered(before + 1)
    const waiting = submit(fakeInput(2))
    await settle()
    const closed = model.close()
    await expect(waiting).rejects.toMatchObject({ code: 'draining' })
    expect(model.status.state).toBe('draining')
    control.open()
    expect(doubled(await running)).toEqual([2])
    await closed
    expect(model.status.state).toBe('stopped')
  })

  test('is bounded even while the engine hangs', async () => {
    const { model, clock, control, submit } = setUp({}, { drainMs: 1000 })
    await model.ready(never)
    const before = control.get('entered')
    const spinning = submit({ ...fakeInput(1), do: 'spin' })
    await control.entered(before + 1)
    const closed = model.close()
    clock.advance(1000)
    await closed
    await expect(spinning).rejects.toMatchObject({ code: 'draining' })
  })

  test.each(['fetch', 'load'] as const)('while a %s goes on ends that, and refuses what was held', async (stage) => {
    const { model, submit, threads, control } =
      stage === 'fetch' ? setUp({}, { fetch: silent }) : setUp({ load: 'wait' })
    const held = submit(fakeInput(1))
    if (stage === 'load') await control.entered()
    await settle()
    const closed = model.close()
    // What is being loaded is loaded to its end first: to cut it short could end the process.
    control.open()
    await closed
    await expect(held).rejects.toMatchObject({ code: 'draining' })
    expect([model.status.state, threads.seen.alive]).toEqual(['stopped', 0])
  })

  test('between two attempts leaves no timer, and before the first is simple', async () => {
    const { model, clock, until } = setUp({}, { fetch: () => Promise.reject(away) })
    model.start()
    await until('failed')
    await model.close()
    expect(clock.pending).toEqual([])
    const idle = setUp()
    await idle.model.close()
    expect([idle.model.status.state, idle.threads.seen.created]).toEqual(['stopped', 0])
  })
})
