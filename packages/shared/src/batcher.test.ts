import { describe, expect, test } from 'vitest'
import { type BatchRun, Batcher, type BatcherOptions } from './batcher.ts'
import { AppError } from './errors.ts'
import { abortListeners, gate, ManualClock, never, settle } from './testing/signals.ts'

type Options = Partial<BatcherOptions<number, string, number>>
type Running = {
  inputs: readonly number[]
  signal: AbortSignal
  finish(): void
  fail(error: unknown): void
  piece(index: number, piece: number): void
  giveBack(inputs: readonly number[]): void
}

/** A batcher whose runs end when the test says so. Outputs are the inputs as text. */
function setUp(given: Options = {}) {
  const clock = new ManualClock()
  const runs: Running[] = []
  const run: BatchRun<number, string, number> = (inputs, options) => {
    const done = gate<{ outputs: string[]; inferenceMs: number }>()
    const outputs = inputs.map((input) => `out ${input}`)
    runs.push({
      inputs: [...inputs],
      signal: options.signal,
      finish: () => done.resolve({ outputs, inferenceMs: 5 }),
      fail: done.reject,
      piece: (index, piece) => options.onPiece(index, piece),
      giveBack: (back) => options.giveBack(back),
    })
    return done.promise
  }
  const batcher = new Batcher<number, string, number>({
    run,
    maxBatchSize: 4,
    now: clock.now,
    setTimer: clock.setTimer,
    ...given,
  })
  const submit = (input: number, signal = never, onPiece?: (piece: number) => void) => {
    const result = batcher.submit(input, signal, onPiece)
    result.catch(() => undefined)
    return result
  }
  /** For tests that watch the runs, not the result. */
  const queue = (...request: Parameters<typeof submit>) => void submit(...request)
  return { batcher, clock, runs, submit, queue }
}

describe('forming batches', () => {
  test('an idle engine starts at once, and arrivals of one event-loop turn share a batch', async () => {
    const { runs, queue } = setUp()
    for (const input of [1, 2, 3]) queue(input)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2, 3]])
  })

  test('what arrives while the engine is busy is the next batch, first come first served', async () => {
    const { runs, queue } = setUp()
    queue(1)
    await settle()
    for (const input of [2, 3, 4, 5, 6]) queue(input)
    await settle()
    expect(runs).toHaveLength(1)
    runs[0]?.finish()
    await settle()
    runs[1]?.finish()
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1], [2, 3, 4, 5], [6]])
  })

  test('each caller gets its own output, its wait, the inference time and the batch size', async () => {
    const { clock, runs, submit } = setUp()
    const first = submit(1)
    await settle()
    clock.advance(10)
    const second = submit(2)
    clock.advance(20)
    runs[0]?.finish()
    await settle()
    runs[1]?.finish()
    expect(await first).toEqual({ output: 'out 1', queueMs: 0, inferenceMs: 5, batchSize: 1 })
    expect(await second).toEqual({ output: 'out 2', queueMs: 20, inferenceMs: 5, batchSize: 1 })
  })

  test('a batch grows only while its padded cost fits, and one input always fits', async () => {
    const padded = (inputs: readonly number[]) => Math.max(...inputs) * inputs.length
    const { runs, queue } = setUp({ maxCost: 20, cost: padded })
    for (const input of [100, 5, 5, 6, 5]) queue(input)
    for (const at of [0, 1, 2]) {
      await settle()
      runs[at]?.finish()
    }
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[100], [5, 5, 6], [5]])
  })

  test('with a window an idle engine waits for company, but not once the batch is full', async () => {
    const { clock, runs, queue } = setUp({ windowMs: 50 })
    queue(1)
    await settle()
    queue(2)
    await settle()
    expect(runs).toHaveLength(0)
    clock.advance(50)
    await settle()
    runs[0]?.finish()
    await settle()
    queue(3)
    await settle()
    for (const input of [4, 5, 6]) queue(input)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([
      [1, 2],
      [3, 4, 5, 6],
    ])
    expect(clock.pending).toEqual([])
  })
})

describe('a window', () => {
  test('counts from the oldest arrival, and an engine that was busy meanwhile does not wait again', async () => {
    const { clock, runs, queue } = setUp({ windowMs: 50 })
    for (const input of [1, 2, 3, 4]) queue(input)
    await settle()
    queue(5)
    clock.advance(30)
    runs[0]?.finish()
    await settle()
    expect(clock.pending).toEqual([20])
    queue(6)
    clock.advance(20)
    expect(runs[1]?.inputs).toEqual([5, 6])
    queue(7)
    clock.advance(60)
    runs[1]?.finish()
    await settle()
    expect(runs[2]?.inputs).toEqual([7])
  })

  test('ends at once when what waits no longer fits one batch', async () => {
    const { runs, queue } = setUp({ windowMs: 50, maxCost: 10, cost: (inputs) => inputs.length * 5 })
    for (const input of [1, 2]) queue(input)
    await settle()
    expect(runs).toHaveLength(0)
    queue(3)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2]])
  })

  test('that everybody has left starts nothing', async () => {
    const { clock, runs, queue } = setUp({ windowMs: 50 })
    const controller = new AbortController()
    queue(1, controller.signal)
    await settle()
    controller.abort()
    clock.advance(50)
    expect([runs.length, clock.pending.length]).toEqual([0, 0])
    queue(2)
    await settle()
    expect(clock.pending).toEqual([50])
  })

  test('does not hold up the end', async () => {
    const { batcher, clock, submit } = setUp({ windowMs: 50 })
    const waiting = submit(1)
    await settle()
    await batcher.close()
    await expect(waiting).rejects.toMatchObject({ code: 'draining' })
    expect(clock.pending).toEqual([])
  })
})

describe('a pace', () => {
  test('starts at once what comes seldom, and gathers what comes often', async () => {
    const { clock, runs, queue } = setUp({ paceMs: 20 })
    queue(1)
    await settle()
    runs[0]?.finish()
    await settle()
    for (const input of [2, 3]) queue(input)
    await settle()
    expect(clock.pending).toEqual([20])
    clock.advance(20)
    await settle()
    runs[1]?.finish()
    clock.advance(20)
    await settle()
    queue(4)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1], [2, 3], [4]])
  })

  test('does not hold up a full batch', async () => {
    const { runs, queue } = setUp({ paceMs: 20 })
    queue(1)
    await settle()
    runs[0]?.finish()
    for (const input of [2, 3, 4, 5]) queue(input)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1], [2, 3, 4, 5]])
  })
})

test('an engine slower than what arrives starves nobody: all are served in the order they came', async () => {
  const { runs, queue } = setUp({ maxBatchSize: 2 })
  let next = 0
  for (let turn = 0; turn < 20; turn++) {
    for (let arrival = 0; arrival < 3; arrival++) queue(next++)
    await settle()
    runs.at(-1)?.finish()
    await settle()
  }
  const served = runs.flatMap((run) => run.inputs)
  expect(served.length).toBeGreaterThanOrEqual(40)
  expect(served).toEqual(Array.from(served, (_, at) => at))
})

test('callers that come again as soon as they are served share a batch with those who waited', async () => {
  const { runs, submit, queue } = setUp()
  const comeAgain = async (first: Promise<unknown>) => {
    await first
    for (let hop = 0; hop < 20; hop++) await Promise.resolve() // as through layers of async functions
    queue(3)
  }
  for (const first of [submit(1), submit(2)]) void comeAgain(first)
  await settle()
  queue(9)
  runs[0]?.finish()
  await settle()
  expect(runs[1]?.inputs).toEqual([9, 3, 3])
})

test('a batch of no input is a mistake, not a queue that never moves', () => {
  for (const maxBatchSize of [0, Number.NaN]) expect(() => setUp({ maxBatchSize })).toThrow(/at most/)
})

describe('refusing', () => {
  test('a full queue answers at once, with a retry time from how long batches take', async () => {
    const { clock, runs, submit, queue } = setUp({ maxBatchSize: 1, maxQueueSize: 2 })
    queue(1)
    await settle()
    clock.advance(400)
    runs[0]?.finish()
    await settle()
    queue(2)
    await settle()
    queue(3)
    queue(4)
    const error = await submit(5).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'overloaded', status: 429, retryAfterMs: 800 })
    expect((error as AppError).message).toContain('2 waiting, 1 running')
  })

  test('the retry time counts a running batch that takes longer than those before, and is never absurd', async () => {
    const { clock, submit, queue } = setUp({ maxBatchSize: 1, maxQueueSize: 2 })
    const refusal = () => submit(0).catch((thrown: unknown) => thrown)
    queue(1)
    await settle()
    queue(2)
    queue(3)
    expect(await refusal()).toMatchObject({ retryAfterMs: 100 })
    clock.advance(5000)
    expect(await refusal()).toMatchObject({ retryAfterMs: 10_000 })
    clock.advance(3_600_000)
    expect(await refusal()).toMatchObject({ retryAfterMs: 60_000 })
  })

  test('a place that a caller left is free again', async () => {
    const { submit, queue } = setUp({ maxBatchSize: 1, maxQueueSize: 1 })
    queue(1)
    await settle()
    const controller = new AbortController()
    queue(2, controller.signal)
    controller.abort()
    const third = submit(3)
    await expect(submit(4)).rejects.toMatchObject({ code: 'overloaded' })
    expect(await Promise.race([third, Promise.resolve('waits')])).toBe('waits')
  })

  test('after close what waits and what comes is refused, and what runs may end', async () => {
    const { batcher, runs, submit } = setUp({ maxBatchSize: 1 })
    const running = submit(1)
    await settle()
    const waiting = submit(2)
    const closed = batcher.close()
    await expect(waiting).rejects.toMatchObject({ code: 'draining' })
    await expect(submit(3)).rejects.toMatchObject({ code: 'draining' })
    expect(await Promise.race([closed.then(() => 'closed'), settle()])).toBeUndefined()
    runs[0]?.finish()
    await closed
    expect((await running).output).toBe('out 1')
    expect(runs).toHaveLength(1)
  })
})

describe('leaving', () => {
  test('aborted while queued: rejects with the reason at once and is never computed', async () => {
    const { batcher, runs, submit, queue } = setUp()
    queue(1)
    await settle()
    const controller = new AbortController()
    const leaving = submit(2, controller.signal)
    queue(3)
    controller.abort(new Error('gone'))
    await expect(leaving).rejects.toThrow('gone')
    expect(batcher.queued).toBe(1)
    runs[0]?.finish()
    await settle()
    expect(runs[1]?.inputs).toEqual([3])
  })

  test('aborted before: never queues', async () => {
    const { batcher, runs, submit } = setUp()
    await expect(submit(1, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    await settle()
    expect([batcher.queued, runs.length]).toEqual([0, 0])
  })

  test('aborted in flight: that caller leaves at once, its neighbour still gets its result', async () => {
    const { runs, submit } = setUp()
    const controller = new AbortController()
    const leaving = submit(1, controller.signal)
    const staying = submit(2)
    await settle()
    controller.abort(new Error('gone'))
    await expect(leaving).rejects.toThrow('gone')
    expect(runs[0]?.signal.aborted).toBe(false)
    runs[0]?.finish()
    expect((await staying).output).toBe('out 2')
  })

  test('the run is told when all of its callers have left', async () => {
    const { runs, queue } = setUp()
    const controllers = [new AbortController(), new AbortController()]
    for (const [at, { signal }] of controllers.entries()) queue(at, signal)
    await settle()
    controllers[0]?.abort()
    expect(runs[0]?.signal.aborted).toBe(false)
    controllers[1]?.abort()
    expect(runs[0]?.signal.aborted).toBe(true)
  })

  test('no listener stays on a signal that outlives its requests', async () => {
    const { runs, queue } = setUp({ maxBatchSize: 1, maxQueueSize: 1 })
    const { signal } = new AbortController()
    queue(1, signal)
    await settle()
    queue(2, signal)
    queue(3, signal) // refused
    expect(abortListeners(signal)).toBe(3)
    runs[0]?.finish()
    await settle()
    runs[1]?.fail(new Error('row'))
    await settle()
    expect(abortListeners(signal)).toBe(0)
  })

  test('no listener stays on the signal of a caller that left while queued', async () => {
    const { queue } = setUp()
    queue(1)
    await settle()
    const controller = new AbortController()
    queue(2, controller.signal)
    controller.abort()
    expect(abortListeners(controller.signal)).toBe(0)
  })
})

describe('failing', () => {
  test('a failed batch is tried once more row by row, so that one bad input fails alone', async () => {
    const { runs, submit } = setUp()
    const [good, bad] = [submit(1), submit(2)]
    await settle()
    runs[0]?.fail(new Error('batch'))
    await settle()
    runs[1]?.finish()
    await settle()
    runs[2]?.fail(new Error('row'))
    expect((await good).output).toBe('out 1')
    await expect(bad).rejects.toThrow('row')
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2], [1], [2]])
  })

  test('the second try runs on the inputs that the failed run gave back', async () => {
    const { runs, queue } = setUp()
    for (const input of [1, 2]) queue(input)
    await settle()
    runs[0]?.giveBack([11, 12])
    runs[0]?.fail(new Error('batch'))
    await settle()
    runs[1]?.finish()
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2], [11], [12]])
  })

  test('an input that a failed run can not give back is not tried again', async () => {
    const { runs, submit } = setUp()
    const [kept, lost] = [submit(1), submit(2)]
    await settle()
    runs[0]?.giveBack([11])
    runs[0]?.fail(new Error('batch'))
    await expect(lost).rejects.toMatchObject({ code: 'engine_failed' })
    await settle()
    runs[1]?.finish()
    expect((await kept).output).toBe('out 11')
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2], [11]])
  })

  test('the second try leaves out whoever has left, and its wait counts the first', async () => {
    const { clock, runs, submit, queue } = setUp()
    const controller = new AbortController()
    queue(1, controller.signal)
    const staying = submit(2)
    await settle()
    controller.abort()
    clock.advance(7)
    runs[0]?.fail(new Error('batch'))
    await settle()
    runs[1]?.finish()
    expect(await staying).toEqual({ output: 'out 2', queueMs: 7, inferenceMs: 5, batchSize: 1 })
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2], [2]])
  })

  test('the second try is the last', async () => {
    const { runs, submit } = setUp()
    const results = [submit(1), submit(2)]
    for (const at of [0, 1, 2]) {
      await settle()
      runs[at]?.fail(new Error(`try ${at}`))
    }
    await expect(results[0]).rejects.toThrow('try 1')
    await expect(results[1]).rejects.toThrow('try 2')
    await settle()
    expect(runs).toHaveLength(3)
  })

  test('a run that loses outputs fails, instead of giving some caller the output of another', async () => {
    const options: Options = { run: async () => ({ outputs: ['only one'], inferenceMs: 1 }) }
    const { submit } = setUp({ ...options, maxBatchSize: 2 })
    const results = await Promise.all([submit(1), submit(2)])
    expect(results.map(({ batchSize }) => batchSize)).toEqual([1, 1])
    const { submit: lone } = setUp({ run: async () => ({ outputs: [], inferenceMs: 1 }) })
    await expect(lone(1)).rejects.toMatchObject({ code: 'engine_failed' })
  })

  test('a lone failed input is not tried again', async () => {
    const { runs, submit } = setUp()
    const result = submit(1)
    await settle()
    runs[0]?.fail(new Error('row'))
    await expect(result).rejects.toThrow('row')
    await settle()
    expect(runs).toHaveLength(1)
  })

  test('a crash fails the whole batch without another try', async () => {
    const { runs, submit } = setUp()
    const results = [submit(1), submit(2)]
    await settle()
    runs[0]?.fail(new AppError('engine_failed', 'crashed', { details: { crashed: true } }))
    for (const result of results) await expect(result).rejects.toMatchObject({ code: 'engine_failed' })
    expect(runs).toHaveLength(1)
  })

  test('after a failure the next batch runs', async () => {
    const { runs, submit, queue } = setUp({ maxBatchSize: 1 })
    queue(1)
    const next = submit(2)
    await settle()
    runs[0]?.fail(new Error('row'))
    await settle()
    runs[1]?.finish()
    expect((await next).output).toBe('out 2')
  })
})

describe('pieces', () => {
  test('pieces reach their own caller until it leaves', async () => {
    const { runs, queue } = setUp()
    const pieces: [string, number][] = []
    const controller = new AbortController()
    queue(1, never, (piece) => pieces.push(['first', piece]))
    queue(2, controller.signal, (piece) => pieces.push(['second', piece]))
    await settle()
    runs[0]?.piece(0, 10)
    runs[0]?.piece(1, 20)
    controller.abort()
    runs[0]?.piece(1, 21)
    expect(pieces).toEqual([
      ['first', 10],
      ['second', 20],
    ])
  })

  test('that a failed try has told are not told again by the second', async () => {
    const { runs, queue } = setUp()
    const pieces: number[] = []
    queue(1, never, (piece) => pieces.push(piece))
    queue(2)
    await settle()
    runs[0]?.piece(0, 10)
    runs[0]?.fail(new Error('batch'))
    await settle()
    for (const piece of [10, 11]) runs[1]?.piece(0, piece)
    expect(pieces).toEqual([10, 11])
  })

  test('that their caller can not take fail that caller alone', async () => {
    const { runs, submit } = setUp()
    const clumsy = submit(1, never, () => {
      throw new Error('can not take it')
    })
    const other = submit(2)
    await settle()
    runs[0]?.piece(0, 10)
    runs[0]?.finish()
    await expect(clumsy).rejects.toThrow('can not take it')
    expect((await other).output).toBe('out 2')
  })
})

test('tells each batch with its size, its time and every wait', async () => {
  const batches: unknown[] = []
  const { clock, runs, queue } = setUp({ onBatch: (batch) => batches.push(batch) })
  queue(1)
  await settle()
  queue(2)
  clock.advance(3)
  queue(3)
  runs[0]?.finish()
  await settle()
  runs[1]?.finish()
  await settle()
  expect(batches).toEqual([
    { batchSize: 1, inferenceMs: 5, queueMs: [0] },
    { batchSize: 2, inferenceMs: 5, queueMs: [3, 0] },
  ])
})
