/** What every engine promises, as one suite that the fake engine and each real one run. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../engine.ts'
import { never } from './signals.ts'

export type EngineSuite<In, Out, Piece> = {
  create: () => Engine<In, Out, Piece>
  /** At least three different inputs. */
  inputs: readonly In[]
  /** True when two outputs say the same, within what batching may change. */
  same: (a: Out, b: Out) => boolean
}

/** Registers the tests; call it inside `describe`. */
export function engineSuite<In, Out, Piece>({ create, inputs, same }: EngineSuite<In, Out, Piece>): void {
  let engine: Engine<In, Out, Piece>
  // A run may keep or empty what it is given: each gets copies, as through a thread.
  const run = (batch: readonly In[]) => engine.run(structuredClone(batch), { signal: never, emit: () => undefined })
  const sameAs = (outputs: readonly Out[], wanted: readonly Out[]) =>
    outputs.length === wanted.length && outputs.every((output, at) => same(output, wanted[at] as Out))
  const alone = async () => {
    const outputs = []
    for (const input of inputs) outputs.push(...(await run([input])))
    return outputs
  }

  beforeAll(async () => {
    engine = create()
    await engine.load()
  })
  afterAll(() => engine.close())

  test('states a batch size and has inputs to warm it with', () => {
    expect(engine.maxBatchSize).toBeGreaterThanOrEqual(1)
    expect(engine.warmupInputs.length).toBeGreaterThanOrEqual(1)
  })

  test('runs each warm-up input alone and as a full batch', async () => {
    for (const input of engine.warmupInputs) {
      expect(await run([input])).toHaveLength(1)
      const full = Array.from({ length: engine.maxBatchSize }, () => input)
      expect(await run(full)).toHaveLength(engine.maxBatchSize)
    }
  })

  test('gives each input its own output, in order, whatever shares the batch', async () => {
    const wanted = await alone()
    for (let at = 0; at < inputs.length; at += engine.maxBatchSize) {
      const batch = inputs.slice(at, at + engine.maxBatchSize)
      expect(sameAs(await run(batch), wanted.slice(at, at + batch.length))).toBe(true)
      expect(sameAs(await run(batch.toReversed()), wanted.slice(at, at + batch.length).toReversed())).toBe(true)
    }
  })

  test('remembers nothing of the run before', async () => {
    const first = await alone()
    expect(sameAs(await alone(), first)).toBe(true)
  })

  test('closes twice without harm', async () => {
    const other = create()
    await other.load()
    await other.close()
    await expect(other.close()).resolves.toBeUndefined()
  })
}
