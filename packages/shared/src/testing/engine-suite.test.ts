import { describe, expect, test } from 'vitest'
import type { Engine } from '../engine.ts'
import { type EngineSuite, engineSuite, prepare, PROMISES } from './engine-suite.ts'
import { createEngine, fakeInput, type FakeInput, type FakeOutput } from './fake-engine.ts'

type Fake = Engine<FakeInput, FakeOutput, number>

const suite = (flaw: (engine: Fake) => Partial<Fake> = () => ({})): EngineSuite<FakeInput, FakeOutput, number> => ({
  create: () => {
    const engine = createEngine({})
    return { ...engine, ...flaw(engine) }
  },
  inputs: [fakeInput(1), fakeInput(2, 3), fakeInput(4), fakeInput(5), fakeInput(6)],
  emptyInputs: [fakeInput()],
  same: (a, b) => a.data.join() === b.data.join(),
})

describe('the fake engine', () => {
  engineSuite(suite())
})

/** Changes the outputs of a run. */
const outputs = (change: (outputs: FakeOutput[], batch: readonly FakeInput[]) => FakeOutput[]) => (engine: Fake) => ({
  run: async (...[batch, run]: Parameters<Fake['run']>) => change(await engine.run(batch, run), batch),
})
const saying = (output: FakeOutput, ...data: number[]) => ({ ...output, data: Float32Array.from(data) })

function leaky() {
  let leftover = 0
  return outputs((all, batch) => {
    const told = all.map((output) => (batch.length === 1 ? saying(output, ...output.data, leftover) : output))
    leftover = batch.length > 1 ? 1 : 0
    return told
  })
}

/** Each promise, and an engine that breaks it. */
const FLAWS: Record<keyof typeof PROMISES, (engine: Fake) => Partial<Fake>> = {
  'states a batch size and has inputs to warm it with': () => ({ maxBatchSize: 0 }),
  'runs each warm-up input alone and as a full batch': outputs((all) => all.slice(0, 3)),
  'tells different inputs apart': outputs((all) => all.map((output) => saying(output, 7))),
  'gives each input its own output, in order, whatever shares the batch': outputs((all) => all.toReversed()),
  'gives the same input the same output in every row of a batch': outputs((all) =>
    all.map((output, row) => saying(output, row)),
  ),
  'remembers nothing of the run before, also after a full batch': leaky(),
  'takes inputs with next to nothing in them, which do not disturb their neighbours': outputs((all, batch) =>
    all.map((output) => (batch.some(({ data }) => data.length === 0) ? saying(output) : output)),
  ),
  'leaves its inputs as they were, because a failed batch is tried again': outputs((all, batch) => {
    for (const { data } of batch) data.fill(0)
    return all
  }),
  'may stop early when nobody waits any more, and works afterwards': (engine) => {
    let isStopped = false
    return {
      run: async (batch, run) => {
        isStopped ||= run.signal.aborted
        if (isStopped) throw new Error('stopped')
        return engine.run(batch, run)
      },
    }
  },
  'closes twice without harm': (engine) => {
    let isClosed = false
    return {
      close: async () => {
        if (isClosed) throw new Error('closed before')
        isClosed = true
        await engine.close()
      },
    }
  },
}

test.each(Object.entries(PROMISES))('an engine that breaks it is caught: %s', async (title, holds) => {
  const flaw = FLAWS[title]
  if (!flaw) throw new Error(`no engine breaks the promise "${title}"`)
  await expect(holds(await prepare(suite()))).resolves.toBeUndefined()
  await expect(holds(await prepare(suite(flaw)))).rejects.toThrow(/expected|closed before|stopped/)
})
