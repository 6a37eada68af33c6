/** Word times of a group of rows: their finished texts go through the decoder once more, which shows where it looked for each. */
import type { Tensor } from 'onnxruntime-node'
import { alignTokens, POSITION_SECONDS } from './alignment.ts'
import type { Attention } from './alignment.ts'
import { endToken } from './generation-settings.ts'
import { logSumExp } from './logits.ts'
import type { Word } from './speech.ts'
import type { DecoderStep, Encoded } from './seq2seq.ts'
import type { WhisperModel } from './whisper-model.ts'
import { splitWords } from './words.ts'

export type SpokenRow = {
  /** Start, language, task, "no timestamps". */
  readonly prompt: readonly number[]
  /** Words only. At least one. */
  readonly tokens: readonly number[]
  readonly language: string
  /** Of the clip: what follows is silence, where nothing is said. */
  readonly seconds: number
}

/** The words of each row, in order. Prompts are equally long. Throws when the export has no attentions. */
export async function wordTimes(model: WhisperModel, encoded: Encoded, rows: readonly SpokenRow[]): Promise<Word[][]> {
  const end = endToken(model.settings)
  const longest = Math.max(...rows.map(({ tokens }) => tokens.length))
  const sequences = rows.map(({ prompt, tokens }) => {
    const rest = Array.from({ length: longest - tokens.length + 1 }, () => end)
    return [...prompt, ...tokens, ...rest]
  })
  const step = await model.step(encoded, sequences, null)
  if (step.attentions.length === 0) throw new Error('expected cross-attentions from the decoder: word times need them')
  const words = rows.map((row, at) => wordsOf(model, step, row, { at, rows: rows.length }))
  model.discard(step)
  return words
}

type Place = { readonly at: number; readonly rows: number }

function wordsOf(model: WhisperModel, step: DecoderStep, row: SpokenRow, place: Place): Word[] {
  const heads = alignmentHeads(model, step).map(([layer, head]) => attention(step, row, { ...place, layer, head }))
  const begins = alignTokens(heads).map((frame) => frame * POSITION_SECONDS)
  const chances = tokenProbabilities(step, row, place)
  let at = 0
  return splitWords(row.tokens, row.language, model.textOf).map(({ text, tokens }) => {
    const from = at
    at += tokens.length
    const startSeconds = begins[from] ?? 0
    const own = chances.slice(from, at)
    return {
      text,
      startSeconds,
      endSeconds: Math.min(row.seconds, Math.max(startSeconds, begins[at] ?? row.seconds)),
      probability: own.reduce((sum, chance) => sum + chance, 0) / own.length,
    }
  })
}

/** As the model names them; else all heads of the upper half of the layers, as in OpenAI's program. */
function alignmentHeads({ settings }: WhisperModel, { attentions }: DecoderStep): (readonly [number, number])[] {
  if (settings.alignment_heads && settings.alignment_heads.length > 0) return settings.alignment_heads
  const from = Math.floor(attentions.length / 2)
  return attentions
    .slice(from)
    .flatMap((tensor, layer) => Array.from({ length: tensor.dims[1] ?? 0 }, (_, head) => [from + layer, head] as const))
}

/** Where a head looked while it chose each token and the end, over the positions of the clip. */
function attention(
  { attentions }: DecoderStep,
  { prompt, tokens, seconds }: SpokenRow,
  { at, layer, head }: Place & { layer: number; head: number },
): Attention {
  const { values, dims } = floats(attentions[layer])
  const [, heads = 1, length = 0, positions = 0] = dims
  const frames = Math.max(1, Math.min(positions, Math.ceil(seconds / POSITION_SECONDS)))
  const rows = tokens.length + 1
  const taken = new Float32Array(rows * frames)
  for (let row = 0; row < rows; row++) {
    const from = ((at * heads + head) * length + prompt.length - 1 + row) * positions
    taken.set(values.subarray(from, from + frames), row * frames)
  }
  return { values: taken, tokens: rows, frames }
}

function floats(tensor: Tensor | undefined): { values: Float32Array; dims: readonly number[] } {
  const values: unknown = tensor?.data
  if (!tensor || !(values instanceof Float32Array)) throw new Error('expected float32 cross-attentions of each layer')
  return { values, dims: tensor.dims }
}

function tokenProbabilities({ logits, vocabulary }: DecoderStep, { prompt, tokens }: SpokenRow, { at, rows }: Place) {
  const perRow = logits.length / vocabulary / rows
  return tokens.map((token, place) => {
    const from = (at * perRow + prompt.length - 1 + place) * vocabulary
    const row = logits.subarray(from, from + vocabulary)
    return Math.exp((row[token] ?? -Infinity) - logSumExp(row))
  })
}
