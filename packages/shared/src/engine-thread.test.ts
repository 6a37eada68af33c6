import { afterEach, expect, test } from 'vitest'
import { EngineThread } from './engine-thread.ts'
import { transferables } from './engine-protocol.ts'
import { type FakeInput, fakeInput, type FakeOptions, type FakeOutput } from './testing/fake-engine.ts'
import { never } from './testing/signals.ts'

let thread: EngineThread<FakeInput, FakeOutput, number>
const options = { signal: never, onPiece: () => undefined }

async function start(engine: FakeOptions = {}) {
  const module = new URL('./testing/fake-engine.ts', import.meta.url)
  thread = new EngineThread({ module, options: engine, name: 'fake', closeMs: 200 })
  return thread.load(never)
}
afterEach(() => thread.close())

test('loads, warms and runs, and tells how long each took', async () => {
  expect(await start()).toMatchObject({ maxBatchSize: 4, loadMs: expect.any(Number) })
  const { firstInferenceMs, secondInferenceMs } = await thread.warm(never)
  expect(firstInferenceMs).toBeGreaterThan(0)
  expect(secondInferenceMs).toBeGreaterThan(0)
  const { outputs, inferenceMs } = await thread.run([fakeInput(1, 2), fakeInput(3)], options)
  expect(outputs.map((output) => [...output.data])).toEqual([[2, 4], [6]])
  expect(inferenceMs).toBeGreaterThan(0)
})

test('buffers are transferred, not copied: the sender has them no more', async () => {
  await start()
  const input = fakeInput(1, 2, 3)
  await thread.run([input], options)
  expect(input.data.byteLength).toBe(0)
})

test('a view into a larger buffer is copied, and its neighbours stay', async () => {
  await start()
  const whole = Float32Array.from([1, 2, 3, 4])
  const { outputs } = await thread.run([{ data: whole.subarray(1, 3) }], options)
  expect([...(outputs[0]?.data ?? [])]).toEqual([4, 6])
  expect([...whole]).toEqual([1, 2, 3, 4])
  expect(transferables({ pooled: Buffer.from('small'), own: new Float32Array(2) })).toHaveLength(1)
})

test('a failed run gives the inputs back, so that they can be tried again', async () => {
  await start()
  const inputs = [fakeInput(1), { ...fakeInput(2), do: 'fail' as const }]
  await expect(thread.run(inputs, options)).rejects.toMatchObject({ code: 'engine_failed' })
  expect(inputs.map((input) => [...input.data])).toEqual([[1], [2]])
  expect((await thread.run([fakeInput(3)], options)).outputs).toHaveLength(1)
})

test.each(['exit', 'throw-later'] as const)('a crash (%s) rejects everything in flight and is told', async (crash) => {
  await start()
  const waiting = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], options)
  const crashing = thread.run([{ ...fakeInput(2), do: crash }], options)
  for (const result of [waiting, crashing])
    await expect(result).rejects.toMatchObject({ code: 'engine_failed', details: { crashed: true } })
  await expect(thread.crashed).resolves.toMatchObject({ code: 'engine_failed' })
  await expect(thread.run([fakeInput(1)], options)).rejects.toMatchObject({ details: { crashed: true } })
})

test('an abort reaches the engine between its steps', async () => {
  await start()
  const controller = new AbortController()
  const result = thread.run([{ ...fakeInput(1), do: 'wait-for-abort' }], { ...options, signal: controller.signal })
  controller.abort()
  expect((await result).outputs[0]?.wasAborted).toBe(true)
})

test('pieces come in order and before the result', async () => {
  await start()
  const pieces: number[][] = []
  const onPiece = (index: number, piece: number) => pieces.push([index, piece])
  await thread.run(
    [
      { ...fakeInput(1), pieces: 2 },
      { ...fakeInput(2), pieces: 1 },
    ],
    { signal: never, onPiece },
  )
  expect(pieces).toEqual([
    [0, 0],
    [0, 1],
    [1, 0],
  ])
})

test('what the engine throws while loading is told, and the thread lives', async () => {
  await expect(start({ loadFails: true })).rejects.toMatchObject({ code: 'engine_failed' })
})

test('closing ends the thread even while an engine hangs', async () => {
  await start({ closeHangs: true })
  const spinning = thread.run([{ ...fakeInput(1), do: 'spin' }], options)
  await thread.close()
  await expect(spinning).rejects.toMatchObject({ code: 'draining' })
})

test('an engine that can not even be imported is a crash, not a hang', async () => {
  thread = new EngineThread({
    module: new URL('./testing/no-such-engine.ts', import.meta.url),
    options: {},
    name: 'none',
  })
  await expect(thread.load(never)).rejects.toMatchObject({ details: { crashed: true } })
})
