import { Tensor } from 'onnxruntime-node'
import { never } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { choose, compressionRatio, decode } from './decoding.ts'
import type { Decoder, RowPlan } from './decoding.ts'
import type { GenerationSettings } from './generation-settings.ts'
import type { DecoderStep, Encoded } from './seq2seq.ts'
import { timestampRules, tokenRules } from './token-rules.ts'

/** Words are 0 to 5, timestamps 12 and up. */
const [END, START, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS, STAMP, VOCABULARY] = [6, 7, 9, 10, 11, 12, 20]

const SETTINGS: GenerationSettings = {
  decoder_start_token_id: START,
  eos_token_id: END,
  no_timestamps_token_id: NO_TIMESTAMPS,
  is_multilingual: true,
  lang_to_id: {},
  task_to_id: {},
}

/** One row: the tokens it wants to say, and how sure it is of them and of silence (as logits; the rest is 0). */
type Script = { readonly says: readonly number[]; readonly sure?: number; readonly silence?: number }

const rowsTensor = (rows: readonly number[]) => new Tensor('float32', Float32Array.from(rows), [rows.length])
const encodedRows = (rows: readonly number[]): Encoded => ({ states: rowsTensor(rows), maskLength: null })
const idsOf = ({ states }: Encoded): number[] => Array.from(states.data as Float32Array)

/** A model that says what it is told, and then anything but the end. It writes down what it is fed. */
function scripted(scripts: readonly Script[]) {
  const fed: (readonly (readonly number[])[])[] = []
  /** Steps whose memory nobody gave back. */
  const kept = new Set<DecoderStep>()
  const model: Decoder = {
    settings: SETTINGS,
    noSpeechToken: NO_SPEECH,
    selectRows: (encoded, rows) => encodedRows(rows.map((row) => idsOf(encoded)[row] ?? -1)),
    selectStep: (step) => {
      kept.delete(step)
      const selected = { ...step }
      kept.add(selected)
      return selected
    },
    discard: (step) => void kept.delete(step),
    step: async (encoded, tokens, before) => {
      if (before) kept.delete(before)
      const perRow = tokens[0]?.length ?? 0
      const logits = new Float32Array(tokens.length * perRow * VOCABULARY)
      for (const [row, id] of idsOf(encoded).entries()) {
        const { says = [], sure = 20, silence = 0 } = scripts[id] ?? {}
        const start = tokens[row]?.lastIndexOf(START) ?? 0
        if (fed.length === 0) logits[(row * perRow + start) * VOCABULARY + NO_SPEECH] = silence
        logits[((row + 1) * perRow - 1) * VOCABULARY + (says[fed.length] ?? 5)] = sure
      }
      fed.push(tokens)
      const step: DecoderStep = { logits, vocabulary: VOCABULARY, cache: {}, attentions: [] }
      kept.add(step)
      return step
    },
  }
  return { model, fed, kept }
}

const prompt = [START, NO_TIMESTAMPS]
const PLAN: Omit<RowPlan, 'rules'> = { prompt, temperature: 0, exactTokens: 0, maxTokens: 6 }
type Change = { settings?: Partial<GenerationSettings>; plan?: Partial<RowPlan>; hasTimestamps?: boolean }

function planned({ settings: changed, plan, hasTimestamps = false }: Change = {}): RowPlan {
  const settings = { ...SETTINGS, ...changed }
  const rules = [tokenRules(settings, plan?.exactTokens ?? 0), ...(hasTimestamps ? [timestampRules(settings)] : [])]
  return { ...PLAN, rules, ...plan }
}

const run = async (scripts: readonly Script[], change: Change = {}) => {
  const { model, fed, kept } = scripted(scripts)
  const plans = scripts.map(() => planned(change))
  const rows = await decode(model, encodedRows([...scripts.keys()]), plans, never)
  return { tokens: rows.map((row) => row.tokens), rows, fed, kept }
}

test('each row ends at its own end-of-text, whatever the model says after it', async () => {
  const { tokens, fed } = await run([{ says: [5, END, 1, 1, 1] }, { says: [4, 0, 3, END] }, { says: [2, 2, END] }])
  expect(tokens).toEqual([[5], [4, 0, 3], [2, 2]])
  expect(fed.slice(0, 3)).toEqual([
    [prompt, prompt, prompt],
    [[5], [4], [2]],
    [[END], [0], [2]],
  ])
})

test('the memory of every step goes back, of rows that end together and of those that end before', async () => {
  expect((await run([{ says: [5, END] }])).kept.size).toBe(0)
  expect((await run([{ says: [END] }, { says: [4, 0, 3, END] }, { says: [2, 2, END] }])).kept.size).toBe(0)
  const { model, kept } = scripted([{ says: [3] }])
  await choose(model, encodedRows([0]), [prompt], [2, 3])
  expect(kept.size).toBe(0)
})

test('when half of the rows have ended, the others go on without them', async () => {
  const { tokens, fed } = await run([{ says: [END] }, { says: [4, 0, 3, END] }, { says: [END] }, { says: [1, END] }])
  expect(tokens).toEqual([[], [4, 0, 3], [], [1]])
  expect(fed.map((step) => step.length)).toEqual([4, 2, 1, 1])
})

test('a row that never ends is cut at the limit', async () => {
  expect((await run([{ says: [4, 4, 4, 4, 4, 4, 4, 4] }])).tokens).toEqual([[4, 4, 4, 4, 4, 4]])
})

test('each row is cut at its own limit, and the others go on', async () => {
  const { model } = scripted([{ says: [4, 4, 4] }, { says: [2, 0, 2, END] }])
  const plans = [2, 6].map((maxTokens) => planned({ plan: { maxTokens } }))
  const rows = await decode(model, encodedRows([0, 1]), plans, never)
  expect(rows.map(({ tokens }) => tokens)).toEqual([
    [4, 4],
    [2, 0, 2],
  ])
})

test('a model without such a token says nothing about silence', async () => {
  const { model } = scripted([{ says: [5, END], silence: 20 }])
  const [row] = await decode({ ...model, noSpeechToken: null }, encodedRows([0]), [planned()], never)
  expect(row).toMatchObject({ tokens: [5], noSpeechProbability: 0 })
})

test('a row that says the same over and over is stopped, and says it once', async () => {
  const { rows, fed } = await run([{ says: Array.from({ length: 100 }, (_, at) => at % 2) }], {
    plan: { maxTokens: 100 },
  })
  expect(rows[0]).toMatchObject({ isLooping: true, tokens: [0, 1] })
  expect(fed.length).toBeLessThan(30)
})

test('suppressed tokens are never said, and those of the beginning not first', async () => {
  const settings = { suppress_tokens: [3], begin_suppress_tokens: [END, 5] }
  const { tokens } = await run([{ says: [5, 5, 3, END] }], { settings })
  // Where the wanted token is forbidden the first of the others is as good as any.
  expect(tokens).toEqual([[0, 5, 0]])
  expect((await run([{ says: [5, 5, 3, END] }])).tokens).toEqual([[5, 5, 3]])
})

test('a warm-up goes on for its number of tokens, and no further', async () => {
  expect((await run([{ says: [1, 2, 3, 4] }], { plan: { exactTokens: 2 } })).tokens).toEqual([[1, 2]])
  expect((await run([{ says: [END, END, END, END] }], { plan: { exactTokens: 3 } })).tokens[0]).toHaveLength(3)
})

test('timestamps begin the text, come in pairs and never go back', async () => {
  const plan = { prompt: [START], maxTokens: 7 }
  const { tokens } = await run([{ says: [4, 4, STAMP + 3, STAMP + 3, 1, STAMP + 1, END] }], {
    plan,
    hasTimestamps: true,
    settings: { max_initial_timestamp_index: 2 },
  })
  const [row = []] = tokens
  expect(row[0]).toBeGreaterThanOrEqual(STAMP)
  expect(row.slice(1, 5)).toEqual([4, STAMP + 3, STAMP + 3, 1])
  // Wanted to go back: the next later one is taken instead.
  expect(row[5]).toBe(STAMP + 4)
})

test('after a pair of timestamps comes a word, however much the model wants a third', async () => {
  const { tokens } = await run([{ says: [STAMP, 4, STAMP + 2, STAMP + 2, STAMP + 3, END] }], {
    plan: { prompt: [START] },
    hasTimestamps: true,
  })
  expect(tokens[0]?.slice(0, 4)).toEqual([STAMP, 4, STAMP + 2, STAMP + 2])
  expect(tokens[0]?.[4]).toBeLessThan(END)
})

test('a row drawn by chance is the same each time, and depends on its temperature', async () => {
  const scripts = [{ says: [5, 5, 5, 5, 5, 5], sure: 1 }]
  const drawn = async (temperature: number) => (await run(scripts, { plan: { temperature } })).tokens
  expect(await drawn(1)).toEqual(await drawn(1))
  expect(await drawn(0)).toEqual([[5, 5, 5, 5, 5, 5]])
  expect(await drawn(1)).not.toEqual(await drawn(0))
})

test('how sure a row is of its words and of silence is told', async () => {
  const { rows } = await run([
    { says: [5, END], sure: 0.5, silence: 20 },
    { says: [5, END], sure: 20, silence: 0 },
  ])
  expect(rows.map((row) => row.noSpeechProbability > 0.6)).toEqual([true, false])
  const unsure = 0.5 - Math.log(VOCABULARY - 1 + Math.exp(0.5))
  expect(rows[0]?.averageLogProbability).toBeCloseTo(unsure, 3)
  expect(rows[1]?.averageLogProbability).toBeCloseTo(0, 5)
})

test('silence is looked for after the start, not after what was said before', async () => {
  const { rows } = await run([{ says: [5, END], silence: 20 }], {
    plan: { prompt: [PREVIOUS, 1, 2, START, NO_TIMESTAMPS] },
  })
  expect(rows[0]?.noSpeechProbability).toBeGreaterThan(0.9)
})

test('an abort is seen between two steps', async () => {
  const { model, fed } = scripted([{ says: [5, 5, 5] }])
  const signal = AbortSignal.abort(new Error('gone'))
  await expect(decode(model, encodedRows([0]), [planned()], signal)).rejects.toThrow('gone')
  expect(fed).toHaveLength(1)
})

test('a choice among tokens has probabilities that add up to one, for each row its own', async () => {
  const { model } = scripted([
    { says: [5], sure: 2 },
    { says: [4], sure: 2 },
  ])
  const [first = [], second = []] = await choose(model, encodedRows([0, 1]), [[START], [START]], [5, 4])
  expect(first[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 5)
  expect(first.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5)
  expect(second).toEqual([first[1], first[0]])
})

test('a text that repeats itself compresses well', () => {
  expect(compressionRatio('')).toBe(0)
  expect(compressionRatio('Is the kitchen light on?')).toBeLessThan(1.2)
  expect(compressionRatio('and so on '.repeat(20))).toBeGreaterThan(2.4)
})
