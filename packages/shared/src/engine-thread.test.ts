import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { markAsUntransferable } from 'node:worker_threads'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { AppError } from './errors.ts'
import { transferables } from './engine-protocol.ts'
import { EngineThread, type EngineThreadOptions } from './engine-thread.ts'
import { FakeControl } from './testing/fake-control.ts'
import { type FakeInput, fakeInput, type FakeOptions, type FakeOutput } from './testing/fake-engine.ts'
import { abortListeners, never } from './testing/signals.ts'

const options = { signal: never, onPiece: () => undefined }

function create(engine: FakeOptions = {}, thread: Partial<EngineThreadOptions> = {}) {
  const control = new FakeControl()
  const created = new EngineThread<FakeInput, FakeOutput, number>({
    module: new URL('./testing/fake-engine.ts', import.meta.url),
    options: { shared: control.shared, ...engine },
    name: 'fake',
    ...thread,
  })
  onTestFinished(() => created.close())
  return { thread: created, control }
}

async function start(engine: FakeOptions = {}, given: Partial<EngineThreadOptions> = {}) {
  const created = create(engine, given)
  await created.thread.load(never)
  return created
}

describe('the work', () => {
  test('loads, warms and runs, and tells how long each took', async () => {
    const { thread } = create()
    expect(await thread.load(never)).toEqual({ maxBatchSize: 4, loadMs: expect.any(Number) })
    expect(await thread.warm(never)).toBeGreaterThan(0)
    const { outputs, inferenceMs } = await thread.run([fakeInput(1, 2), fakeInput(3)], options)
    expect(outputs.map((output) => [...output.data])).toEqual([[2, 4], [6]])
    expect(inferenceMs).toBeGreaterThan(0)
  })

  /** Rows of each part of the warm-up. */
  async function partsOf(slowMs: number): Promise<number[]> {
    const { thread, control } = await start({}, { slowMs })
    const rows: number[] = []
    for (let before = 0; (await thread.warm(never)) !== null; before = control.get('rows'))
      rows.push(control.get('rows') - before)
    return rows
  }

  test('warms part by part: the first input twice, the others alone, then every input as a full batch', async () => {
    expect(await partsOf(Infinity)).toEqual([1, 1, 1, 4, 4])
  })

  test('warms a slow engine with the first input only', async () => {
    expect(await partsOf(0)).toEqual([1, 1])
  })

  test('pieces come in order and before the result', async () => {
    const { thread } = await start()
    const pieces: (number | string)[][] = []
    const batch = [
      { ...fakeInput(1), pieces: 2 },
      { ...fakeInput(2), pieces: 1 },
    ]
    await thread.run(batch, { signal: never, onPiece: (index, piece) => pieces.push([index, piece]) })
    pieces.push(['result'])
    expect(pieces).toEqual([[0, 0], [0, 1], [1, 0], ['result']])
  })

  test('two runs at a time keep their results apart', async () => {
    const { thread, control } = await start()
    const slow = thread.run([{ ...fakeInput(1), do: 'wait' }], options)
    const quick = await thread.run([fakeInput(2)], options)
    control.open()
    expect([...(quick.outputs[0]?.data ?? [])]).toEqual([4])
    expect([...((await slow).outputs[0]?.data ?? [])]).toEqual([2])
  })
})

describe('buffers', () => {
  test('are transferred, not copied: the sender has them no more', async () => {
    const { thread } = await start()
    const input = fakeInput(1, 2, 3)
    await thread.run([input], options)
    expect(input.data.byteLength).toBe(0)
  })

  test('are transferred on their way back too', async () => {
    const { thread } = await start()
    const first = await thread.run([fakeInput(1)], options)
    const second = await thread.run([fakeInput(2)], options)
    expect([first, second].map(({ outputs }) => outputs[0]?.lastWasMoved)).toEqual([false, true])
  })

  test('of which the input is a view are copied, and its neighbours stay', async () => {
    const { thread } = await start()
    const whole = Float32Array.from([1, 2, 3, 4])
    const { outputs } = await thread.run([{ data: whole.subarray(1, 3) }], options)
    expect([...(outputs[0]?.data ?? [])]).toEqual([4, 6])
    expect([...whole]).toEqual([1, 2, 3, 4])
  })

  test('that can not change hands, such as native memory, are copied', async () => {
    const { thread } = await start()
    const input = fakeInput(1, 2)
    markAsUntransferable(input.data.buffer)
    const { outputs } = await thread.run([input], options)
    expect([...(outputs[0]?.data ?? [])]).toEqual([2, 4])
    expect([...input.data]).toEqual([1, 2])
  })

  test('are found wherever they lie in plain data, once each', () => {
    const [shared, own, bare] = [new Float32Array(2), new Uint8Array(2), new ArrayBuffer(2)]
    const message = { list: [{ shared }, [shared]], text: 'text', none: null, own, bare, pooled: Buffer.from('small') }
    expect(transferables(message)).toEqual([shared.buffer, own.buffer, bare])
  })

  test('are found in data that contains itself', () => {
    const message: { self?: unknown; data: Float32Array } = { data: new Float32Array(1) }
    message.self = message
    expect(transferables(message)).toEqual([message.data.buffer])
  })
})

describe('a failed run', () => {
  test('gives the inputs back, so that they can be tried again, and the thread lives', async () => {
    const { thread } = await start()
    let back: readonly FakeInput[] = []
    const batch = [fakeInput(1), { ...fakeInput(2), do: 'fail' as const }]
    const failing = thread.run(batch, { ...options, giveBack: (inputs) => (back = inputs) })
    await expect(failing).rejects.toMatchObject({ code: 'engine_failed', details: {} })
    expect(back.map((input) => [...input.data])).toEqual([[1], [2]])
    expect((await thread.run([fakeInput(3)], options)).outputs).toHaveLength(1)
  })

  test('tells callers that it failed, and the log why', async () => {
    const { thread } = await start()
    const failing = thread.run([{ ...fakeInput(1), do: 'fail' }], options)
    await expect(failing).rejects.toMatchObject({
      message: 'the engine fake failed',
      cause: { message: 'this row is bad', stack: expect.stringContaining('fake-engine.ts') },
    })
  })

  test('is also one that loses a row', async () => {
    const { thread } = await start({ dropsLastRow: true })
    let back: readonly FakeInput[] = []
    const failing = thread.run([fakeInput(1), fakeInput(2)], { ...options, giveBack: (inputs) => (back = inputs) })
    await expect(failing).rejects.toMatchObject({ code: 'engine_failed' })
    expect(back).toHaveLength(2)
  })

  test('is also one whose input can not cross the border', async () => {
    const { thread } = await start()
    const input = { ...fakeInput(1), callback: () => undefined }
    await expect(thread.run([input], options)).rejects.toThrow(/could not be cloned/)
    expect((await thread.run([fakeInput(3)], options)).outputs).toHaveLength(1)
  })

  test('while loading tells so, and the thread can still be closed', async () => {
    const { thread, control } = create({ load: 'fail' })
    await expect(thread.load(never)).rejects.toMatchObject({ code: 'engine_failed' })
    await thread.close()
    expect(control.get('closes')).toBe(1)
  })

  test('while warming tells so when there is nothing to warm with', async () => {
    const { thread } = await start({ noWarmup: true })
    await expect(thread.warm(never)).rejects.toMatchObject({ cause: { message: expect.stringContaining('warm-up') } })
  })
})

describe('a crash', () => {
  const crashes = ['exit', 'throw-later', 'out-of-memory'] as const
  test.each(crashes)('(%s) rejects everything in flight and is told', async (crash) => {
    const { thread } = await start({}, { resourceLimits: { maxOldGenerationSizeMb: 32 } })
    const waiting = thread.run([{ ...fakeInput(1), do: 'wait' }], options)
    const crashing = thread.run([{ ...fakeInput(2), do: crash }], options)
    for (const result of [waiting, crashing])
      await expect(result).rejects.toMatchObject({ code: 'engine_failed', details: { crashed: true } })
    await expect(thread.crashed).resolves.toMatchObject({ code: 'engine_failed' })
    await expect(thread.run([fakeInput(1)], options)).rejects.toMatchObject({ details: { crashed: true } })
  })

  test('while loading rejects the load', async () => {
    const { thread } = create({ load: 'exit' })
    await expect(thread.load(never)).rejects.toMatchObject({ message: expect.stringContaining('exit code 5') })
  })

  test('is also an engine that can not even be imported', async () => {
    const { thread } = create({}, { module: new URL('./testing/no-such-engine.ts', import.meta.url) })
    await expect(thread.load(never)).rejects.toMatchObject({
      details: { crashed: true },
      cause: { message: expect.stringContaining('no-such-engine') },
    })
  })

  test('is also a run that goes on and on after its abort', async () => {
    const { thread, control } = await start({}, { stuckMs: 1 })
    const controller = new AbortController()
    const spinning = thread.run([{ ...fakeInput(1), do: 'spin' }], { ...options, signal: controller.signal })
    await control.entered()
    controller.abort()
    await expect(spinning).rejects.toMatchObject({ details: { crashed: true } })
    await expect(thread.crashed).resolves.toMatchObject({ cause: { message: expect.stringContaining('1 ms') } })
  })
})

describe('an abort', () => {
  test('that the engine answers leaves no timer that would end the thread later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { thread, control } = await start()
    const { signal, abort } = abortable()
    const result = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], { ...options, signal })
    await control.entered()
    abort()
    expect(vi.getTimerCount()).toBe(1)
    await result
    expect(vi.getTimerCount()).toBe(0)
  })

  test('reaches the engine between its steps, and leaves no listener', async () => {
    const { thread, control } = await start()
    const { signal, abort } = abortable()
    const result = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], { ...options, signal })
    await control.entered()
    abort()
    expect((await result).outputs[0]?.wasAborted).toBe(true)
    expect(abortListeners(signal)).toBe(0)
  })

  test('concerns one run only', async () => {
    const { thread, control } = await start()
    const { signal, abort } = abortable()
    const other = thread.run([{ ...fakeInput(1), do: 'wait' }], options)
    const aborted = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], { ...options, signal })
    await control.entered(2)
    abort()
    await aborted
    control.open()
    expect((await other).outputs[0]?.wasAborted).toBe(false)
  })

  test('that came before keeps the inputs here', async () => {
    const { thread, control } = await start()
    const input = fakeInput(1)
    const run = thread.run([input], { ...options, signal: AbortSignal.abort(new Error('gone')) })
    await expect(run).rejects.toThrow('gone')
    await thread.run([fakeInput(2)], options)
    expect([input.data.length, control.get('runs')]).toEqual([1, 1])
  })

  test('ends the wait for a load', async () => {
    const { thread, control } = create({ load: 'wait' })
    const { signal, abort } = abortable()
    const loading = thread.load(signal)
    await control.entered()
    abort(new Error('gone'))
    await expect(loading).rejects.toThrow('gone')
    expect(abortListeners(signal)).toBe(0)
    control.open()
  })

  test('no listener stays on a signal that outlives its runs', async () => {
    const { thread } = await start()
    const { signal } = abortable()
    await thread.run([fakeInput(1)], { ...options, signal })
    await thread.run([{ ...fakeInput(1), do: 'fail' }], { ...options, signal }).catch(() => undefined)
    expect(abortListeners(signal)).toBe(0)
  })
})

describe('closing', () => {
  test('lets what runs end first, then closes the engine once, and is no crash', async () => {
    const { thread, control } = await start()
    const running = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], options)
    await control.entered()
    expect(thread.close()).toBe(thread.close())
    await thread.close()
    expect((await running).outputs).toHaveLength(1)
    expect([control.get('closes'), control.get('closedWhileBusy')]).toEqual([1, 0])
    expect(await Promise.race([thread.crashed, Promise.resolve('alive')])).toBe('alive')
  })

  test('is bounded even while an engine hangs: what runs is rejected', async () => {
    const { thread, control } = await start({}, { closeMs: 20 })
    const spinning = thread.run([{ ...fakeInput(1), do: 'spin' }], options)
    await control.entered()
    await thread.close()
    await expect(spinning).rejects.toMatchObject({ code: 'draining' })
  })

  test('waits longer for a load than for an engine, because a cut one may take the process with it', async () => {
    const closeMs = 20
    const { thread, control } = create({ load: 'wait' }, { closeMs })
    const leaving = new AbortController()
    const loading = thread.load(leaving.signal)
    await control.entered(1)
    leaving.abort(new Error('left'))
    await expect(loading).rejects.toThrow('left')
    const closed = thread.close()
    // A later timer than the limit's.
    await pause(closeMs + 1)
    control.open()
    await closed
    expect(control.get('closes')).toBe(1)
  })

  test('ends a warm-up', async () => {
    const { thread, control } = await start({ longWarmup: true })
    const warming = thread.warm(never).catch((error: unknown) => error)
    await control.entered(2)
    await thread.close()
    expect(await warming).toBeInstanceOf(AppError)
    expect(control.get('closes')).toBe(1)
  })

  test('is bounded even when the engine hangs while it closes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { thread, control } = await start({ closeHangs: true }, { closeMs: 20 })
    const closed = thread.close()
    await control.reached('closes', 1)
    vi.advanceTimersByTime(20)
    await expect(closed).resolves.toBeUndefined()
  })

  test.skipIf(process.platform === 'win32')('is bounded even while native code hangs', async () => {
    const { thread, control } = await start({}, { closeMs: 20 })
    const pipe = namedPipe()
    const blocked = thread.run([{ ...fakeInput(1), blocksOn: pipe }], options)
    await control.entered()
    await thread.close()
    await expect(blocked).rejects.toMatchObject({ code: 'draining' })
    closeSync(openSync(pipe, constants.O_RDWR))
  })

  test('refuses what comes afterwards', async () => {
    const { thread } = await start()
    await thread.close()
    await expect(thread.run([fakeInput(1)], options)).rejects.toMatchObject({ code: 'draining' })
    await expect(thread.load(never)).rejects.toMatchObject({ code: 'draining' })
  })

  test('after a crash is nothing', async () => {
    const { thread } = await start()
    await thread.run([{ ...fakeInput(1), do: 'exit' }], options).catch(() => undefined)
    await thread.close()
    await expect(thread.run([fakeInput(1)], options)).rejects.toMatchObject({ code: 'engine_failed' })
  })
})

function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: (reason?: unknown) => controller.abort(reason) }
}

function namedPipe(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-pipe-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'pipe')
  execFileSync('mkfifo', [path])
  return path
}
