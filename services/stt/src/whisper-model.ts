/**
 * A Whisper export (encoder, merged decoder with cache) loaded into transformers.js, with the two calls that recognition needs.
 * The library's own `generate` is not used: it runs finished rows on until the last one ends, counts a batch's forced tokens
 * wrongly, and gives neither the language nor the chance that nobody spoke.
 */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AutoTokenizer, env, LogLevel, Tensor, WhisperForConditionalGeneration } from '@huggingface/transformers'
import type { PreTrainedModel, PreTrainedTokenizer } from '@huggingface/transformers'
import * as z from 'zod'
import { readGenerationSettings } from './generation-settings.ts'
import type { GenerationSettings } from './generation-settings.ts'

export type WhisperFiles = {
  /** The folder with config.json, generation_config.json, tokenizer.json, onnx/. */
  readonly dir: string
  readonly dtype: 'fp32' | 'q8'
  readonly threads: number
}

/** The name that exports with attentions give to those of each layer. */
const ATTENTION = 'cross_attentions'

const ModelShape = z.object({ num_mel_bins: z.number(), max_target_positions: z.number() })

/** The decoder's keys and values by the names of its inputs; those of the encoder stay what the first step gave. */
export type Cache = Readonly<Record<string, Tensor>>

export type DecoderStep = {
  /** [rows, tokens, vocabulary] */
  readonly logits: Float32Array
  readonly vocabulary: number
  readonly cache: Cache
  /** How the tokens of this step looked at the sound: one [rows, heads, tokens, positions] for each layer, if the export has them. */
  readonly attentions: readonly Tensor[]
}

export type Encoded = { readonly features: Tensor; readonly states: Tensor }

export type WhisperModel = {
  readonly mels: number
  /** Tokens that one window may become, as in OpenAI's own program: half of the decoder's positions. */
  readonly maxTokens: number
  readonly settings: GenerationSettings
  readonly tokenizer: PreTrainedTokenizer
  /** The frames the encoder says it takes; null when it leaves the length open. */
  readonly declaredFrames: number | null
  /** `features` as [rows, mels, frames]. */
  encode(features: Float32Array, rows: number, frames: number): Promise<Encoded>
  /** The next tokens of each row, all rows equally many: the whole prompt first (without cache), then one at a time. */
  step(encoded: Encoded, tokens: readonly (readonly number[])[], cache: Cache | null): Promise<DecoderStep>
  /** Some of the rows, in that order; all of them are no copy. */
  selectRows(encoded: Encoded, rows: readonly number[]): Encoded
  selectCache(cache: Cache, rows: readonly number[]): Cache
  close(): Promise<void>
}

/** Throws when a file is missing or not of the expected form. */
export async function loadWhisper({ dir, dtype, threads }: WhisperFiles): Promise<WhisperModel> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE // on a failed run the library would print its inputs, which are somebody's speech
  const session = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
  const [model, tokenizer, shape, settings] = await Promise.all([
    WhisperForConditionalGeneration.from_pretrained(dir, { dtype, local_files_only: true, session_options: session }),
    AutoTokenizer.from_pretrained(dir, { local_files_only: true }),
    readShape(dir),
    readGenerationSettings(dir),
  ])
  return {
    mels: shape.num_mel_bins,
    maxTokens: Math.floor(shape.max_target_positions / 2),
    settings,
    tokenizer,
    declaredFrames: declaredFrames(model),
    encode: (features, rows, frames) =>
      encode(model, new Tensor('float32', features, [rows, shape.num_mel_bins, frames])),
    step: (encoded, tokens, cache) => step(model, encoded, tokens, cache),
    selectRows: ({ features, states }, rows) => ({ features: select(features, rows), states: select(states, rows) }),
    selectCache: (cache, rows) =>
      Object.fromEntries(Object.entries(cache).map(([name, tensor]) => [name, select(tensor, rows)])),
    close: async () => {
      await model.dispose()
    },
  }
}

const readShape = async (dir: string): Promise<z.infer<typeof ModelShape>> =>
  ModelShape.parse(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')))

const InputMetadata = z.array(z.object({ name: z.string(), shape: z.array(z.unknown()).optional() }))

function declaredFrames(model: PreTrainedModel): number | null {
  const encoder: unknown = model.sessions['model']
  const metadata = z.object({ inputMetadata: InputMetadata }).safeParse(encoder)
  const shape = metadata.data?.inputMetadata.find(({ name }) => name === 'input_features')?.shape
  const frames = shape?.[2]
  return typeof frames === 'number' && frames > 0 ? frames : null
}

async function encode(model: PreTrainedModel, features: Tensor): Promise<Encoded> {
  // oxlint-disable-next-line no-underscore-dangle -- the library has no other name for the encoder alone
  const outputs: { encoder_outputs?: unknown } = await model._prepare_encoder_decoder_kwargs_for_generation({
    inputs_tensor: features,
    model_inputs: { input_features: features },
    model_input_name: 'input_features',
    generation_config: { guidance_scale: null },
  })
  if (!(outputs.encoder_outputs instanceof Tensor)) throw new Error('expected a tensor from the encoder')
  return { features, states: outputs.encoder_outputs }
}

async function step(
  model: PreTrainedModel,
  { features, states }: Encoded,
  tokens: readonly (readonly number[])[],
  cache: Cache | null,
): Promise<DecoderStep> {
  const ids = BigInt64Array.from(tokens.flat(), BigInt)
  const outputs: Readonly<Record<string, unknown>> = await model.forward({
    input_features: features, // not read again: the library takes the number of rows from it
    encoder_outputs: states,
    decoder_input_ids: new Tensor('int64', ids, [tokens.length, tokens[0]?.length ?? 0]),
    past_key_values: cache,
  })
  const { logits } = outputs
  if (!(logits instanceof Tensor)) throw new Error('expected a tensor of logits from the decoder')
  const data: unknown = logits.data
  if (!(data instanceof Float32Array)) throw new Error('expected float32 logits from the decoder')
  return {
    logits: data,
    vocabulary: logits.dims.at(-1) ?? 0,
    cache: nextCache(outputs, cache),
    attentions: attentionsOf(outputs),
  }
}

/** `cross_attentions.0` and so on, by layer. */
function attentionsOf(outputs: Readonly<Record<string, unknown>>): Tensor[] {
  const layers: Tensor[] = []
  for (let value = outputs[`${ATTENTION}.0`]; value instanceof Tensor;) {
    layers.push(value)
    value = outputs[`${ATTENTION}.${layers.length}`]
  }
  return layers
}

/** Rows of a tensor whose first dimension they are. */
function select(tensor: Tensor, rows: readonly number[]): Tensor {
  const [count = 0, ...shape] = tensor.dims
  if (rows.length === count && rows.every((row, at) => row === at)) return tensor
  const data: unknown = tensor.data
  if (!(data instanceof Float32Array)) throw new Error('expected float32 rows to select from')
  const size = data.length / count
  const selected = new Float32Array(rows.length * size)
  for (const [at, row] of rows.entries()) selected.set(data.subarray(row * size, (row + 1) * size), at * size)
  return new Tensor('float32', selected, [rows.length, ...shape])
}

/** `present.0.decoder.key` is next called `past_key_values.0.decoder.key`. */
function nextCache(outputs: Readonly<Record<string, unknown>>, before: Cache | null): Cache {
  const cache: Record<string, Tensor> = {}
  for (const [name, value] of Object.entries(outputs)) {
    if (!name.startsWith('present') || !(value instanceof Tensor)) continue
    const next = name.replace('present', 'past_key_values')
    cache[next] = (name.includes('encoder') ? before?.[next] : undefined) ?? value
  }
  return cache
}

/** Whether the decoder in `dir` gives its cross-attentions, which word times need. Reads the file once, in pieces. */
export async function hasAttentions({ dir, dtype }: Pick<WhisperFiles, 'dir' | 'dtype'>): Promise<boolean> {
  const wanted = Buffer.from(`${ATTENTION}.0`)
  const file = dtype === 'q8' ? 'decoder_model_merged_quantized.onnx' : 'decoder_model_merged.onnx'
  let rest = Buffer.alloc(0)
  for await (const piece of createReadStream(join(dir, 'onnx', file), { highWaterMark: 4_194_304 })) {
    if (!Buffer.isBuffer(piece)) throw new Error('expected bytes')
    const bytes = Buffer.concat([rest, piece])
    if (bytes.includes(wanted)) return true
    rest = bytes.subarray(-wanted.length)
  }
  return false
}
