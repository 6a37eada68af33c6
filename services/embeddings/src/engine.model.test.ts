import { join } from 'node:path'
import type { Engine } from '@hearth/shared/engine'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from './engine.ts'
import type { EngineOptions } from './engine.ts'
import type { TokenIds } from './padding.ts'
import { RETRIEVAL_PAIRS, retrieve } from './testing/retrieval.ts'
import { loadTokenizer } from './tokenizer.ts'

const dir = join(import.meta.dirname, '../../../models/demo/minilm')
const options = (change: Partial<EngineOptions> = {}): EngineOptions => ({
  dir,
  dtype: 'fp32',
  threads: 2,
  maxBatchSize: 32,
  ...change,
})
const tokenizer = await loadTokenizer(dir)

/** 33 texts of 1 to about 100 words. */
const WORDS = 'the lights in the kitchen are off and it will rain in London tomorrow'.split(' ')
const TEXTS = Array.from({ length: 33 }, (_, at) =>
  Array.from({ length: 1 + at * 3 }, (_word, place) => WORDS[(at * 5 + place * 7) % WORDS.length]).join(' '),
)
const rows = TEXTS.map((text) => tokenizer.encode(text))

const run = (engine: Engine<TokenIds, Float32Array>, batch: readonly TokenIds[]) =>
  engine.run(batch, { signal: never, emit: () => undefined })
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, at) => sum + x * (b[at] ?? NaN), 0)
const worstDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((worst, x, at) => Math.max(worst, Math.abs(x - (b[at] ?? NaN))), 0)

describe('the sentence encoder is an engine: it', () => {
  engineSuite({
    create: () => createEngine(options()),
    inputs: rows,
    same: (a, b) => a.length === b.length && worstDifference(a, b) <= 1e-4,
  })
})

describe('the sentence encoder', () => {
  let engine: Engine<TokenIds, Float32Array>
  beforeAll(async () => {
    engine = createEngine(options())
    await engine.load()
  })
  afterAll(() => engine.close())
  const embed = async (text: string): Promise<Float32Array> => {
    const [vector] = await run(engine, [tokenizer.encode(text)])
    return vector ?? new Float32Array()
  }

  test("gives vectors of the model's size and of length 1, in memory of their own", async () => {
    for (const vector of await run(engine, rows.slice(0, 32))) {
      expect(vector).toHaveLength(tokenizer.dimensions)
      expect(dot(vector, vector)).toBeCloseTo(1, 5)
      expect(vector.buffer.byteLength).toBe(vector.byteLength)
    }
  })

  test('gives a short text the same vector alone and beside the longest there may be', async () => {
    const [short] = rows
    const longest = new Int32Array(tokenizer.maxTokens).fill(7)
    if (!short) throw new Error('expected 33 texts')
    const [alone] = await run(engine, [short])
    const [beside] = await run(engine, [short, longest])
    expect(worstDifference(alone ?? new Float32Array(), beside ?? new Float32Array())).toBeLessThanOrEqual(1e-6)
  })

  test('puts a question nearest to the fact it is about', async () => {
    const facts = await Promise.all(
      ["The user's dog is called Rex.", 'It will rain in London tomorrow.', 'The kitchen lights are off.'].map(embed),
    )
    const nearest = async (question: string) => {
      const asked = await embed(question)
      const scores = facts.map((fact) => dot(asked, fact))
      return scores.indexOf(Math.max(...scores))
    }
    expect(await nearest('What is the dog called?')).toBe(0)
    expect(await nearest('Will it be raining in London?')).toBe(1)
    expect(await nearest('Is the lamp in the kitchen on?')).toBe(2)
  })

  test('gives nearly the same vectors in eight bits', async () => {
    const small = createEngine(options({ dtype: 'q8' }))
    await small.load()
    const [full, eight] = [await run(engine, rows.slice(0, 4)), await run(small, rows.slice(0, 4))]
    await small.close()
    for (const [at, vector] of full.entries())
      expect(dot(vector, eight[at] ?? new Float32Array())).toBeGreaterThan(0.97)
  })

  test('finds in eight bits what it finds in thirty-two', async () => {
    const small = createEngine(options({ dtype: 'q8' }))
    await small.load()
    const found = await Promise.all(
      [engine, small].map(async (model) => {
        const [questions, statements] = [0, 1].map((side) => RETRIEVAL_PAIRS.map((pair) => pair[side] ?? ''))
        const vectors = async (texts: readonly string[] = []) =>
          run(
            model,
            texts.map((text) => tokenizer.encode(text)),
          )
        return retrieve(await vectors(questions), await vectors(statements))
      }),
    )
    await small.close()
    const [full, eight] = found
    const agreed = full?.first.filter((statement, at) => statement === eight?.first[at]).length ?? 0
    expect(agreed / RETRIEVAL_PAIRS.length).toBeGreaterThanOrEqual(0.9)
    expect(eight?.share).toBeGreaterThanOrEqual((full?.share ?? 1) - 0.05)
    expect(full?.share).toBeGreaterThan(0.5)
  })
})

test("the tokenizer adds the special tokens and knows the model's limits", () => {
  expect(tokenizer.encode('').length).toBe(2)
  expect(tokenizer.encode('The lights are off.').length).toBeGreaterThanOrEqual(7)
  expect([tokenizer.maxTokens, tokenizer.dimensions]).toEqual([512, 384])
})
