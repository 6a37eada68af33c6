import { describe, expect, onTestFinished, test } from 'vitest'
import { AppError } from './errors.ts'
import { ModelChoices } from './model-choice.ts'
import { Model } from './model.ts'
import type { ModelFiles } from './model-store.ts'
import { ModelSlot, type SlotOptions } from './model-slot.ts'
import { gate, ManualClock, never, settle } from './testing/signals.ts'
import { stubThread, type StubOptions } from './testing/stub-thread.ts'
import { orAborted } from './waits.ts'

const CHOICES = new ModelChoices({ id: 'org/first', revision: 'main', demo: 'tiny' }, ['org/second', 'org/third@v1'])
const [FIRST, SECOND, THIRD, DEMO] = CHOICES.all as [
  (typeof CHOICES.all)[0],
  (typeof CHOICES.all)[0],
  (typeof CHOICES.all)[0],
  (typeof CHOICES.all)[0],
]
/** What each model adds to a doubled number. */
const PLUS: Readonly<Record<string, number>> = {
  'org/first': 0.1,
  'org/second': 0.2,
  'org/third': 0.3,
  'demo/tiny': 0.4,
}

/** A slot whose models are made of `engines[id]`; `prepared` is the model's id. */
function setUp(
  options: Partial<SlotOptions<number, number, string>> = {},
  engines: Record<string, StubOptions> = {},
  sourceOf: () => ModelFiles['source'] = () => 'cache',
) {
  const clock = new ManualClock()
  const seen = { created: [] as string[], closed: [] as string[], transitions: [] as string[] }
  const slot = new ModelSlot<number, number, string>({
    choices: CHOICES,
    preload: 'eager',
    pull: () => Promise.reject(new Error('not asked')),
    now: clock.now,
    setTimer: clock.setTimer,
    create: ({ id }, hooks, { preload }) => {
      const files = (): ModelFiles => ({ dir: id, source: sourceOf(), revision: 'c0ffee', id, warning: null })
      return new Model<number, number>({
        name: 'test',
        id,
        preload,
        maxBatchSize: 4,
        coldHoldMs: options.coldHoldMs ?? 120_000,
        fetch: async (_onProgress, signal) => {
          const found = files()
          await hooks.alone(found, signal)
          return found
        },
        prepare: async () => hooks.onPrepared(id),
        onStatus: () => hooks.onStatus(),
        createThread: () => {
          seen.created.push(id)
          return stubThread({ plus: PLUS[id] ?? 0, onClose: () => seen.closed.push(id), ...engines[id] })
        },
        log: { info: () => undefined, error: () => undefined },
        now: clock.now,
        setTimer: clock.setTimer,
      })
    },
    ...options,
  })
  onTestFinished(() => slot.close())
  const ask = async (value: number) => (await slot.submit(value, never)).output
  return { slot, clock, seen, ask }
}

const lease = (slot: ModelSlot<number, number, string>, choice?: (typeof CHOICES.all)[0], holdMs?: number) =>
  slot.lease({ choice, holdMs }, never)

describe('unloading', () => {
  test('ends the engine, and the next request brings it back', async () => {
    const { slot, seen, ask } = setUp()
    expect(await ask(1)).toBe(2.1)
    await slot.unload(FIRST)
    expect([seen.closed, slot.loaded]).toEqual([['org/first'], []])
    expect(slot.status).toMatchObject({ id: 'org/first', state: 'idle', preload: 'lazy' })
    expect(await ask(2)).toBe(4.1)
    expect(seen.created).toEqual(['org/first', 'org/first'])
  })

  test('waits for the batch that runs, and for who leased the model', async () => {
    const running = gate()
    const { slot, seen, ask } = setUp({}, { 'org/first': { run: () => running.promise } })
    await slot.ready(never)
    const long = await lease(slot)
    const batch = ask(1)
    await settle()
    const unloaded = slot.unload(FIRST)
    await settle()
    expect(seen.closed).toEqual([])
    running.resolve()
    expect(await batch).toBe(2.1)
    await settle()
    expect([seen.closed, slot.loaded.map(({ status }) => status.state)]).toEqual([[], ['ready']])
    // Between two of its inputs the engine is idle, and still this request's.
    expect((await long.submit(2, never)).output).toBe(4.1)
    long.release()
    await unloaded
    expect(seen.closed).toEqual(['org/first'])
  })

  test('of what is not loaded does nothing', async () => {
    const { slot, seen } = setUp()
    await slot.unload(FIRST)
    await slot.unload(SECOND)
    expect([seen.created, seen.closed]).toEqual([[], []])
  })

  test('does not wait for ever for a request that never ends', async () => {
    const { slot, clock, seen } = setUp()
    await slot.ready(never)
    await lease(slot)
    const unloaded = slot.unload(FIRST)
    await settle()
    clock.advance(600_000)
    await unloaded
    expect(seen.closed).toEqual(['org/first'])
  })

  test('waits for a request that the service sends to itself, which would bring back what has gone meanwhile', async () => {
    const { slot, clock, seen, ask } = setUp()
    const sent = gate()
    const sending = () =>
      slot.askItself(async () => {
        await sent.promise
        return ask(1)
      })
    await slot.ready(never)
    const [asked, unloaded] = [sending(), slot.unload(FIRST)]
    await settle()
    sent.resolve()
    expect(await asked).toBe(2.1)
    await unloaded
    expect([seen.created, seen.closed, slot.status.state]).toEqual([['org/first'], ['org/first'], 'idle'])
    await ask(1)
    slot.keepAlive(0)
    const last = sending()
    clock.advance(0)
    expect(await last).toBe(2.1)
    clock.advance(0)
    await settle()
    expect([seen.created.length, slot.status.state]).toEqual([2, 'idle'])
  })

  test('is not held up by a request of its own that fails', async () => {
    const { slot } = setUp()
    await slot.ready(never)
    const asked = slot.askItself(() => Promise.reject(new Error('refused')))
    const results = await Promise.allSettled([asked, slot.unload(FIRST)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(slot.status.state).toBe('idle')
  })
})

describe('keep alive', () => {
  test('unloads after that long without a request, counted from the last one', async () => {
    const { slot, clock, seen, ask } = setUp({ keepAliveMs: 1000 })
    await slot.ready(never)
    clock.advance(900)
    expect(slot.loaded[0]?.expiresInMs).toBe(100)
    await ask(1)
    clock.advance(999)
    expect(seen.closed).toEqual([])
    clock.advance(1)
    await settle()
    expect([seen.closed, slot.status.state]).toEqual([['org/first'], 'idle'])
    expect(await ask(1)).toBe(2.1)
  })

  test('does not count while a request goes on', async () => {
    const { slot, clock, seen } = setUp({ keepAliveMs: 1000 })
    await slot.ready(never)
    const long = await lease(slot)
    clock.advance(5000)
    expect([seen.closed, slot.loaded[0]?.expiresInMs]).toEqual([[], null])
    long.release()
    long.release()
    clock.advance(1000)
    await settle()
    expect(seen.closed).toEqual(['org/first'])
  })

  test('may be longer than a timer can wait', async () => {
    const { slot, clock, seen } = setUp({ keepAliveMs: 30 * 86_400_000 })
    await slot.ready(never)
    expect(clock.pending.every((ms) => ms < 2 ** 31)).toBe(true)
    clock.advance(29 * 86_400_000)
    expect([seen.closed, slot.status.state]).toEqual([[], 'ready'])
    clock.advance(86_400_000)
    await settle()
    expect(seen.closed).toEqual(['org/first'])
  })

  test('is off by default, and can be set for the model that sits here', async () => {
    const { slot, clock, seen } = setUp()
    await slot.ready(never)
    clock.advance(1e9)
    expect([seen.closed, clock.pending]).toEqual([[], []])
    slot.keepAlive(0)
    clock.advance(0)
    await settle()
    expect(seen.closed).toEqual(['org/first'])
  })
})

describe('another model', () => {
  test('is warmed first, then takes the place; no request under fire fails, and each is answered by one model', async () => {
    const loading = gate()
    const { slot, seen } = setUp({}, { 'org/second': { plus: 0.2, load: () => loading.promise } })
    await slot.ready(never)
    const fires = { on: true }
    const answers: number[] = []
    const fire = async () => {
      while (fires.on) {
        const held = await lease(slot)
        const value = held.prepared
        const outputs = [await held.submit(1, never), await held.submit(1, never)].map(({ output }) => output)
        held.release()
        expect(outputs.map((output) => output.toFixed(1))).toEqual(
          value === 'org/first' ? ['2.1', '2.1'] : ['2.2', '2.2'],
        )
        answers.push(...outputs)
      }
    }
    const clients = Array.from({ length: 10 }, fire)
    const loaded = slot.load(SECOND, never)
    while (answers.length < 100) await settle()
    expect(new Set(answers)).toEqual(new Set([2.1]))
    expect(slot.loaded.map(({ status }) => [status.id, status.state])).toEqual([
      ['org/first', 'ready'],
      ['org/second', 'loading'],
    ])
    loading.resolve()
    await loaded
    const before = answers.length
    while (answers.length < before + 100) await settle()
    fires.on = false
    await Promise.all(clients)
    await settle()
    expect(answers.slice(-20).every((answer) => answer === 2.2)).toBe(true)
    expect([seen.closed, slot.status.id, slot.prepared]).toEqual([['org/first'], 'org/second', 'org/second'])
  })

  test('that can not be loaded leaves the one before in its place, and the caller has the reason', async () => {
    const load = () => Promise.reject(new AppError('engine_failed', 'the weights are broken'))
    const { slot, clock, ask } = setUp({}, { 'org/second': { load } })
    await slot.ready(never)
    const swapped = slot.load(SECOND, never)
    swapped.catch(() => undefined)
    for (let attempt = 0; attempt < 3; attempt++) {
      await settle()
      clock.advance(1000)
    }
    await expect(swapped).rejects.toMatchObject({
      code: 'model_failed',
      message: expect.stringContaining('the weights are broken'),
    })
    expect([await ask(1), slot.status.state, slot.loaded.length]).toEqual([2.1, 'ready', 1])
  })

  test('comes once for all who want it, and no third comes meanwhile', async () => {
    const loading = gate()
    const { slot, seen } = setUp({}, { 'org/second': { load: () => loading.promise } })
    await slot.ready(never)
    const wanted = [slot.load(SECOND, never), slot.load(SECOND, never)]
    await settle()
    await expect(slot.load(THIRD, never)).rejects.toMatchObject({
      code: 'model_loading',
      retryAfterMs: 30_000,
      details: { loading: { model: 'org/second', state: 'loading' } },
    })
    loading.resolve()
    await Promise.all(wanted)
    expect(seen.created).toEqual(['org/first', 'org/second'])
  })

  test('goes on coming when its caller has waited long enough', async () => {
    const loading = gate()
    const { slot, clock } = setUp({}, { 'org/second': { load: () => loading.promise } })
    await slot.ready(never)
    const swapped = slot.load(SECOND, never, 500)
    swapped.catch(() => undefined)
    await settle()
    clock.advance(500)
    await expect(swapped).rejects.toMatchObject({
      code: 'model_loading',
      message: expect.stringContaining('org/second'),
    })
    loading.resolve()
    await slot.load(SECOND, never)
    expect(slot.status.id).toBe('org/second')
  })

  test('that is coming can be sent away again', async () => {
    const { slot, seen } = setUp({}, { 'org/second': { load: () => new Promise(() => undefined) } })
    await slot.ready(never)
    const swapped = slot.load(SECOND, never)
    swapped.catch(() => undefined)
    await settle()
    await slot.unload(SECOND)
    await expect(swapped).rejects.toMatchObject({ code: 'model_failed' })
    expect([slot.status.id, seen.closed, slot.loaded.length]).toEqual(['org/first', ['org/second'], 1])
  })

  test('is brought by a request that names it, and the request waits', async () => {
    const { slot } = setUp()
    await slot.ready(never)
    const second = await lease(slot, SECOND)
    expect((await second.submit(1, never)).output).toBe(2.2)
    expect(second.prepared).toBe('org/second')
    second.release()
  })

  test('can not be made to change all the time: each stays half a minute', async () => {
    const { slot, clock, seen } = setUp()
    await slot.ready(never)
    ;(await lease(slot, SECOND)).release()
    await expect(lease(slot, FIRST, 29_999)).rejects.toMatchObject({ code: 'model_loading', retryAfterMs: 30_000 })
    const patient = lease(slot, FIRST, 30_000)
    await settle()
    expect(seen.created).toEqual(['org/first', 'org/second'])
    clock.advance(30_000)
    expect((await patient).prepared).toBe('org/first')
  })

  test('is waited for no longer than the request is held, its turn included', async () => {
    const { slot, clock } = setUp({}, { 'org/third': { load: () => new Promise(() => undefined) } })
    await slot.ready(never)
    ;(await lease(slot, SECOND)).release()
    const held = lease(slot, THIRD, 40_000)
    held.catch(() => undefined)
    clock.advance(30_000)
    await settle()
    clock.advance(10_000)
    await settle()
    expect(clock.pending.filter((ms) => ms <= 40_000)).toEqual([])
    await expect(held).rejects.toMatchObject({ code: 'model_loading', message: expect.stringMatching(/org\/third/) })
  })

  test('is waited for by no more than the queue may hold, their turn included; the others are refused at once', async () => {
    const { slot, clock, seen } = setUp({ maxQueueSize: 3 })
    await slot.ready(never)
    ;(await lease(slot, SECOND)).release()
    const turns = [lease(slot, FIRST), lease(slot, THIRD), slot.load(THIRD, never)]
    await expect(lease(slot, FIRST)).rejects.toMatchObject({
      code: 'model_loading',
      message: expect.stringMatching(/org\/first is not ready/),
    })
    await expect(slot.load(FIRST, never)).rejects.toMatchObject({ code: 'model_loading', status: 503 })
    // Whoever wants what is here waits for nothing.
    expect((await lease(slot, SECOND)).prepared).toBe('org/second')
    await settle()
    clock.advance(60_000)
    await Promise.allSettled(turns)
    expect(seen.created).toContain('org/third')
    clock.advance(60_000)
    expect((await lease(slot, FIRST)).prepared).toBe('org/first')
  })

  test('that is not on the list is brought by no request', async () => {
    const { slot, seen } = setUp()
    await slot.ready(never)
    expect((await lease(slot, DEMO)).prepared).toBe('org/first')
    expect(seen.created).toEqual(['org/first'])
    await slot.load(DEMO, never)
    expect(slot.status.id).toBe('demo/tiny')
  })
})

test('what is unloaded while it loads, and asked for again, is there once', async () => {
  const loading = gate()
  const { slot, seen } = setUp({}, { 'org/first': { load: () => loading.promise } })
  const first = await lease(slot)
  const answered = first.submit(1, never).finally(first.release)
  await settle()
  const unloaded = slot.unload(FIRST)
  const again = lease(slot).then((next) => next.submit(2, never).finally(next.release))
  await settle()
  expect(seen.created).toEqual(['org/first'])
  loading.resolve()
  expect([(await answered).output, (await again).output]).toEqual([2.1, 4.1])
  await unloaded
  expect([seen.created, seen.closed]).toEqual([['org/first', 'org/first'], ['org/first']])
})

test('a model that is sent away in the moment it is ready does not take the place', async () => {
  const { slot, seen } = setUp()
  await slot.ready(never)
  const stop = slot.watch(() => {
    if (slot.statusOf(SECOND).state !== 'ready') return
    stop()
    queueMicrotask(() => void slot.unload(SECOND))
  })
  await expect(slot.load(SECOND, never)).rejects.toMatchObject({ code: 'model_failed' })
  await settle()
  expect([slot.choice.id, slot.status.state, seen.closed]).toEqual(['org/first', 'ready', ['org/second']])
})

test('a demo goes on answering while what it stands in for is coming', async () => {
  const sources: ModelFiles['source'][] = ['demo', 'cache']
  const [demo, itself] = [gate(), gate()]
  const gates = [demo, itself]
  const load = () => (gates.shift() ?? gate()).promise
  const { slot, seen, ask } = setUp({}, { 'org/first': { load } }, () => sources.shift() ?? 'cache')
  demo.resolve()
  await slot.ready(never)
  const loaded = slot.load(FIRST, never)
  await settle()
  await slot.unload(DEMO)
  expect([await ask(1), slot.status.source]).toEqual([2.1, 'demo'])
  itself.resolve()
  await loaded
  expect([slot.status.source, seen.created.length]).toEqual(['cache', 2])
})

test('a model that was sent away and is asked for again comes, once the other copy is gone', async () => {
  const ended = gate()
  const { slot, seen } = setUp({}, { 'org/second': { load: () => ended.promise } })
  await slot.ready(never)
  const first = slot.load(SECOND, never)
  first.catch(() => undefined)
  await settle()
  const unloaded = slot.unload(SECOND)
  const second = slot.load(SECOND, never)
  second.catch(() => undefined)
  await expect(first).rejects.toMatchObject({ code: 'model_failed', message: expect.stringMatching(/unloaded/) })
  await expect(slot.load(THIRD, never)).rejects.toMatchObject({ code: 'model_loading' })
  ended.resolve()
  await Promise.all([unloaded, second])
  expect([slot.status.id, seen.created.length, seen.closed]).toEqual(['org/second', 3, ['org/second', 'org/first']])
})

test('a demo that stands in goes and stays under its own name', async () => {
  const { slot, seen } = setUp({}, {}, () => 'demo')
  await slot.ready(never)
  await slot.load(DEMO, never)
  expect([slot.statusOf(DEMO).state, seen.created]).toEqual(['ready', ['org/first']])
  await slot.unload(DEMO)
  expect([seen.closed, slot.loaded]).toEqual([['org/first'], []])
})

test('a demo that stands in makes room for the model itself once that is asked for and can be had', async () => {
  const sources: ModelFiles['source'][] = ['demo', 'cache']
  const { slot, seen } = setUp({}, {}, () => sources.shift() ?? 'cache')
  await slot.ready(never)
  // A request is answered by what is there.
  ;(await lease(slot, FIRST)).release()
  expect([slot.status.source, seen.created.length]).toEqual(['demo', 1])
  await slot.load(FIRST, never)
  expect([slot.status.source, seen.created.length]).toEqual(['cache', 2])
  await slot.load(FIRST, never)
  expect(seen.created.length).toBe(2)
})

test('a download ends with the service', async () => {
  const { slot } = setUp({ pull: (_choice, _onProgress, signal) => orAborted(new Promise(() => undefined), signal) })
  const pulled = slot.pull(SECOND, () => undefined, never)
  slot.drain()
  await expect(pulled).rejects.toMatchObject({ code: 'draining' })
})

test('closing ends every model, the one that is coming too', async () => {
  const { slot, seen } = setUp({}, { 'org/second': { load: () => new Promise(() => undefined) } })
  await slot.ready(never)
  const swapped = slot.load(SECOND, never)
  swapped.catch(() => undefined)
  await settle()
  await slot.close()
  await expect(swapped).rejects.toMatchObject({ code: 'draining' })
  expect(seen.closed.toSorted()).toEqual(['org/first', 'org/second'])
  await expect(slot.load(THIRD, never)).rejects.toMatchObject({ code: 'draining' })
  // Nor does a new one get a seat, in which nobody would end it.
  await expect(slot.unload(FIRST)).rejects.toMatchObject({ code: 'draining' })
})

test('who watches hears of the model that sits here and of the one that comes', async () => {
  const { slot } = setUp()
  const seen: string[] = []
  const stop = slot.watch(() => {
    const line = `${slot.status.id} ${slot.status.state}, ${slot.statusOf(SECOND).state}`
    if (seen.at(-1) !== line) seen.push(line)
  })
  await slot.ready(never)
  await slot.load(SECOND, never)
  stop()
  await slot.unload(SECOND)
  expect(seen).toEqual([
    'org/first fetching, idle',
    'org/first loading, idle',
    'org/first warming, idle',
    'org/first ready, idle',
    'org/first ready, fetching',
    'org/first ready, loading',
    'org/first ready, warming',
    'org/first ready, ready',
    'org/second ready, ready',
  ])
})
