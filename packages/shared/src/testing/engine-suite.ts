/**
 * What every engine promises, as one suite that the fake engine and each real one run. The promises are plain functions, so that a test can
 * show that each of them catches an engine that breaks it.
 */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../engine.ts'
import { never } from './signals.ts'

export type EngineSuite<In, Out, Piece> = {
  create: () => Engine<In, Out, Piece>
  /** At least three different inputs, with different outputs. */
  inputs: readonly In[]
  /** True when two outputs say the same, within what batching may change. */
  same: (a: Out, b: Out) => boolean
  /** Inputs with next to nothing in them, such as silence: they must not fail, nor disturb their neighbours. */
  emptyInputs?: readonly In[]
}

type Subject<In, Out, Piece> = EngineSuite<In, Out, Piece> & {
  engine: Engine<In, Out, Piece>
  run: (batch: readonly In[], signal?: AbortSignal) => Promise<Out[]>
  /** The output of each input when it runs alone; computed once. */
  alone: () => Promise<Out[]>
}
type Promised = <In, Out, Piece>(subject: Subject<In, Out, Piece>) => Promise<void>

/** Each promise by its sentence. They run in this order, on one engine; the last one closes it. */
export const PROMISES: Readonly<Record<string, Promised>> = {
  'states a batch size and has inputs to warm it with': async ({ engine }) => {
    expect(engine.maxBatchSize).toBeGreaterThanOrEqual(1)
    expect(engine.maxBatchSize % 1).toBe(0)
    expect(engine.warmupInputs.length).toBeGreaterThanOrEqual(1)
  },

  'runs each warm-up input alone and as a full batch': async ({ engine, run }) => {
    for (const input of engine.warmupInputs) {
      expect(await run([input])).toHaveLength(1)
      expect(await run(times(engine.maxBatchSize, input))).toHaveLength(engine.maxBatchSize)
    }
  },

  'tells different inputs apart': async ({ inputs, same, alone }) => {
    expect(inputs.length).toBeGreaterThanOrEqual(3)
    const outputs = await alone()
    expect(outputs.some((output) => !same(first(outputs), output))).toBe(true)
  },

  'gives each input its own output, in order, whatever shares the batch': async ({ inputs, engine, ...subject }) => {
    const wanted = await subject.alone()
    for (let at = 0; at < inputs.length; at += engine.maxBatchSize) {
      const end = Math.min(inputs.length, at + engine.maxBatchSize)
      const [batch, outputs] = [inputs.slice(at, end), wanted.slice(at, end)]
      expectSame(subject, await subject.run(batch), outputs)
      expectSame(subject, await subject.run(batch.toReversed()), outputs.toReversed())
    }
  },

  'gives the same input the same output in every row of a batch': async ({ inputs, engine, ...subject }) => {
    const wanted = first(await subject.alone())
    const outputs = await subject.run(times(engine.maxBatchSize, first(inputs)))
    expectSame(subject, outputs, times(engine.maxBatchSize, wanted))
  },

  'remembers nothing of the run before, also after a full batch': async ({ inputs, engine, ...subject }) => {
    const wanted = await subject.alone()
    await subject.run(times(engine.maxBatchSize, first(inputs.toReversed())))
    for (const [at, input] of inputs.entries())
      expectSame(subject, await subject.run([input]), wanted.slice(at, at + 1))
  },

  'takes inputs with next to nothing in them, which do not disturb their neighbours': async ({
    engine,
    ...subject
  }) => {
    const wanted = first(await subject.alone())
    for (const empty of subject.emptyInputs ?? []) {
      expect(await subject.run([empty])).toHaveLength(1)
      const batch = [first(subject.inputs), empty].slice(0, engine.maxBatchSize)
      const outputs = await subject.run(batch)
      expect(outputs).toHaveLength(batch.length)
      expectSame(subject, outputs.slice(0, 1), [wanted])
    }
  },

  'leaves its inputs as they were, because a failed batch is tried again': async ({ inputs, engine }) => {
    const batch = inputs.slice(0, engine.maxBatchSize)
    const given = structuredClone(batch)
    await engine.run(given, { signal: never, emit: () => undefined })
    expect(isDeepStrictEqual(given, batch)).toBe(true)
  },

  'may stop early when nobody waits any more, and works afterwards': async ({ inputs, ...subject }) => {
    await subject.run(inputs.slice(0, 1), AbortSignal.abort()).catch(() => undefined)
    expectSame(subject, await subject.run(inputs.slice(0, 1)), (await subject.alone()).slice(0, 1))
  },

  'closes twice without harm': async ({ engine }) => {
    await engine.close()
    await expect(engine.close()).resolves.toBeUndefined()
  },
}

/** Registers the tests; call it inside `describe`. */
export function engineSuite<In, Out, Piece>(suite: EngineSuite<In, Out, Piece>): void {
  let subject: Subject<In, Out, Piece>
  beforeAll(async () => {
    subject = await prepare(suite)
  })
  afterAll(() => subject.engine.close())
  test.each(Object.entries(PROMISES))('%s', async (_title, expectKept) => {
    await expectKept(subject)
  })
}

/** A loaded engine with what the promises need. */
export async function prepare<In, Out, Piece>(suite: EngineSuite<In, Out, Piece>): Promise<Subject<In, Out, Piece>> {
  const engine = suite.create()
  await engine.load()
  // A run may empty what it gives back, and may keep what it is given: each gets copies, as through a thread.
  const run = async (batch: readonly In[], signal = never) =>
    structuredClone(await engine.run(structuredClone(batch), { signal, emit: () => undefined }))
  let outputs: Promise<Out[]> | undefined
  const alone = () => (outputs ??= oneByOne(suite.inputs, run))
  return { ...suite, engine, run, alone }
}

async function oneByOne<In, Out>(inputs: readonly In[], run: (batch: readonly In[]) => Promise<Out[]>): Promise<Out[]> {
  const outputs: Out[] = []
  for (const input of inputs) outputs.push(...(await run([input])))
  return outputs
}

function expectSame<Out>(
  { same }: { same: (a: Out, b: Out) => boolean },
  outputs: readonly Out[],
  wanted: readonly Out[],
): void {
  expect(outputs).toHaveLength(wanted.length)
  const different = outputs.flatMap((output, at) => (same(output, wanted[at] as Out) ? [] : [at]))
  expect(different, 'rows whose output differs from that of the input alone').toEqual([])
}

const times = <T>(length: number, value: T): T[] => Array.from({ length }, () => value)

function first<T>(values: readonly T[]): T {
  const [value] = values
  if (value === undefined) throw new Error('expected at least one value, got none')
  return value
}
