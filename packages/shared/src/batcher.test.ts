import { describe, expect, test } from 'vitest'
import { type BatchRun, Batcher, type BatcherOptions } from './batcher.ts'
import { AppError } from './errors.ts'
import { gate, ManualClock, never, settle } from './testing/signals.ts'

type Options = Partial<BatcherOptions<number, string, number>>
type Running = {
  inputs: readonly number[]
  signal: AbortSignal
  finish(): void
  fail(error: unknown): void
  piece(index: number, piece: number): void
}

/** A batcher whose runs end when the test says so. Outputs are the inputs as text. */
function setUp(options: Options = {}) {
  const clock = new ManualClock()
  const runs: Running[] = []
  const run: BatchRun<number, string, number> = (inputs, { signal, onPiece }) => {
    const done = gate<{ outputs: string[]; inferenceMs: number }>()
    const outputs = inputs.map((input) => `out ${input}`)
    runs.push({
      inputs: [...inputs],
      signal,
      finish: () => done.resolve({ outputs, inferenceMs: 5 }),
      fail: done.reject,
      piece: onPiece,
    })
    return done.promise
  }
  const batcher = new Batcher<number, string, number>({
    run,
    maxBatchSize: 4,
    now: clock.now,
    setTimer: clock.setTimer,
    ...options,
  })
  const submit = (input: number, signal = never, onPiece?: (piece: number) => void) => {
    const result = batcher.submit(input, signal, onPiece)
    result.catch(() => undefined)
    return result
  }
  return { batcher, clock, runs, submit }
}

describe('forming batches', () => {
  test('an idle engine starts at once, and arrivals of one event-loop turn share a batch', async () => {
    const { runs, submit } = setUp()
    for (const input of [1, 2, 3]) submit(input)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[1, 2, 3]])
  })

  test('what arrives while the engine is busy is the next batch, first come first served', async () => {
    const { runs, submit } = setUp()
    submit(1)
    await settle()
    for (const input of [2, 3, 4, 5, 6]) submit(input)
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
    const { runs, submit } = setUp({ maxCost: 20, cost: padded })
    for (const input of [100, 5, 5, 6, 5]) submit(input)
    for (const at of [0, 1, 2]) {
      await settle()
      runs[at]?.finish()
    }
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([[100], [5, 5, 6], [5]])
  })

  test('with a window an idle engine waits for company, but not once the batch is full', async () => {
    const { clock, runs, submit } = setUp({ windowMs: 50 })
    submit(1)
    await settle()
    submit(2)
    await settle()
    expect(runs).toHaveLength(0)
    clock.advance(50)
    await settle()
    runs[0]?.finish()
    await settle()
    submit(3)
    await settle()
    for (const input of [4, 5, 6]) submit(input)
    await settle()
    expect(runs.map((run) => run.inputs)).toEqual([
      [1, 2],
      [3, 4, 5, 6],
    ])
    expect(clock.pending).toEqual([])
  })
})

describe('refusing', () => {
  test('a full queue answers at once, with a retry time from how long batches take', async () => {
    const { clock, runs, submit } = setUp({ maxBatchSize: 1, maxQueueSize: 2 })
    submit(1)
    await settle()
    clock.advance(400)
    runs[0]?.finish()
    await settle()
    submit(2)
    await settle()
    submit(3)
    submit(4)
    const error = await submit(5).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'overloaded', status: 429, retryAfterMs: 800 })
    expect((error as AppError).message).toContain('2 waiting, 1 running')
  })

  test('after close what waits and what comes is refused, and what runs may end', async () => {
    const { batcher, runs, submit } = setUp({ maxBatchSize: 1 })
    const running = submit(1)
    await settle()
    const waiting = submit(2)
    const closed = batcher.close()
    await expect(waiting).rejects.toMatchObject({ code: 'draining' })
    await expect(submit(3)).rejects.toMatchObject({ code: 'draining' })
    runs[0]?.finish()
    await closed
    expect((await running).output).toBe('out 1')
    expect(runs).toHaveLength(1)
  })
})

describe('leaving', () => {
  test('aborted while queued: rejects with the reason at once and is never computed', async () => {
    const { batcher, runs, submit } = setUp()
    submit(1)
    await settle()
    const controller = new AbortController()
    const leaving = submit(2, controller.signal)
    submit(3)
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
    const { runs, submit } = setUp()
    const controllers = [new AbortController(), new AbortController()]
    for (const [at, { signal }] of controllers.entries()) submit(at, signal)
    await settle()
    controllers[0]?.abort()
    expect(runs[0]?.signal.aborted).toBe(false)
    controllers[1]?.abort()
    expect(runs[0]?.signal.aborted).toBe(true)
  })

  test('no listener stays on a signal that outlives its requests', async () => {
    const { runs, submit } = setUp()
    const { signal } = new AbortController()
    let listeners = 0
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
    signal.addEventListener = (...given: Parameters<typeof add>) => (listeners++, add(...given))
    signal.removeEventListener = (...given: Parameters<typeof remove>) => (listeners--, remove(...given))
    const result = submit(1, signal)
    await settle()
    expect(listeners).toBeGreaterThan(0)
    runs[0]?.finish()
    await result
    await settle()
    expect(listeners).toBe(0)
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
    const { runs, submit } = setUp({ maxBatchSize: 1 })
    submit(1)
    const next = submit(2)
    await settle()
    runs[0]?.fail(new Error('row'))
    await settle()
    runs[1]?.finish()
    expect((await next).output).toBe('out 2')
  })
})

test('pieces reach their own caller until it leaves', async () => {
  const { runs, submit } = setUp()
  const pieces: [string, number][] = []
  const controller = new AbortController()
  submit(1, never, (piece) => pieces.push(['first', piece]))
  submit(2, controller.signal, (piece) => pieces.push(['second', piece]))
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
