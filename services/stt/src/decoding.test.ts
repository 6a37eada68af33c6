import { Tensor } from '@huggingface/transformers'
import type { PreTrainedTokenizer } from '@huggingface/transformers'
import { never } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { choose, decode } from './decoding.ts'
import type { GenerationSettings } from './generation-settings.ts'
import type { Encoded, WhisperModel } from './whisper-model.ts'

const [END, START, NO_SPEECH, NO_TIMESTAMPS, VOCABULARY] = [0, 1, 2, 3, 10]

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

/** A model that says what it is told, and then anything but the end. It writes down what it is fed. */
function scripted(scripts: readonly Script[], settings: Partial<GenerationSettings> = {}) {
  const fed: (readonly (readonly number[])[])[] = []
  const unused = (): never => {
    throw new Error('not used here')
  }
  const model: WhisperModel = {
    mels: 80,
    maxTokens: 6,
    settings: { ...SETTINGS, ...settings },
    get tokenizer(): PreTrainedTokenizer {
      return unused()
    },
    declaredFrames: null,
    encode: unused,
    close: unused,
    step: async (_encoded, tokens) => {
      const perRow = tokens[0]?.length ?? 0
      const logits = new Float32Array(scripts.length * perRow * VOCABULARY)
      for (const [row, { says, sure = 20, silence = 0 }] of scripts.entries()) {
        if (fed.length === 0) logits[row * perRow * VOCABULARY + NO_SPEECH] = silence
        logits[((row + 1) * perRow - 1) * VOCABULARY + (says[fed.length] ?? 9)] = sure
      }
      fed.push(tokens)
      return { logits, vocabulary: VOCABULARY, cache: {} }
    },
  }
  return { model, fed }
}

const tensor = new Tensor('float32', new Float32Array(1), [1])
const encoded: Encoded = { features: tensor, states: tensor }
const prompt = [START, NO_TIMESTAMPS]
const run = async (
  scripts: readonly Script[],
  change: { settings?: Partial<GenerationSettings>; minTokens?: number } = {},
) => {
  const { model, fed } = scripted(scripts, change.settings)
  const prompts = scripts.map(() => prompt)
  const rows = await decode(model, encoded, { prompts, minTokens: change.minTokens ?? 0, signal: never })
  return { tokens: rows.map((row) => row.tokens), rows, fed }
}

test('each row ends at its own end-of-text, whatever the model says after it', async () => {
  const { tokens, fed } = await run([{ says: [5, END, 7, 7, 7] }, { says: [4, 6, 8, END] }])
  expect(tokens).toEqual([[5], [4, 6, 8]])
  expect(fed).toEqual([
    [prompt, prompt],
    [[5], [4]],
    [[END], [6]],
    [[END], [8]],
  ])
})

test('a row that never ends is cut at the limit', async () => {
  expect((await run([{ says: [4, 4, 4, 4, 4, 4, 4, 4] }])).tokens).toEqual([[4, 4, 4, 4, 4, 4]])
})

test('suppressed tokens are never said, and those of the beginning not first', async () => {
  const settings = { suppress_tokens: [7], begin_suppress_tokens: [END, 5] }
  const { tokens } = await run([{ says: [5, 5, 7, END] }], { settings })
  // Where the wanted token is forbidden the first of the others is as good as any.
  expect(tokens).toEqual([[1, 5]])
  expect((await run([{ says: [5, 5, 7, END] }])).tokens).toEqual([[5, 5, 7]])
})

test('a warm-up goes on for its least number of tokens', async () => {
  expect((await run([{ says: [END, END, END, END] }], { minTokens: 3 })).tokens[0]).toHaveLength(3)
})

test('a row is silence when no speech is likely and its words are unsure, not when only one of both holds', async () => {
  const { rows } = await run([
    { says: [5, END], sure: 0.5, silence: 20 },
    { says: [5, END], sure: 20, silence: 20 },
    { says: [5, END], sure: 20, silence: 0 },
  ])
  expect(rows.map((row) => row.tokens.length)).toEqual([0, 1, 1])
  expect(rows.map((row) => row.noSpeechProbability > 0.6)).toEqual([true, true, false])
})

test('an abort is seen between two steps', async () => {
  const { model, fed } = scripted([{ says: [5, 5, 5] }])
  const signal = AbortSignal.abort(new Error('gone'))
  await expect(decode(model, encoded, { prompts: [prompt], minTokens: 0, signal })).rejects.toThrow('gone')
  expect(fed).toHaveLength(1)
})

test('a choice among tokens has probabilities that add up to one, for each row its own', async () => {
  const { model } = scripted([
    { says: [5], sure: 2 },
    { says: [6], sure: 2 },
  ])
  const [first = [], second = []] = await choose(model, encoded, [[START], [START]], [5, 6])
  expect(first[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 5)
  expect(first.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5)
  expect(second).toEqual([first[1], first[0]])
})
