/**
 * An encoder and a merged decoder with cache, as the hub's exports have them, run by transformers.js in the calls that recognition needs.
 * The library's own `generate` is not used: it runs finished rows on until the last one ends, counts a batch's forced tokens
 * wrongly, and gives neither the language nor the chance that nobody spoke.
 */
import { AutoTokenizer, env, LogLevel, Tensor } from '@huggingface/transformers'
import type { PreTrainedModel, PreTrainedTokenizer } from '@huggingface/transformers'
import * as z from 'zod'
import { ATTENTION } from './graph-outputs.ts'

export type SpeechModelFiles = {
  /** The folder with config.json, generation_config.json, tokenizer.json, onnx/. */
  readonly dir: string
  readonly dtype: 'fp32' | 'q8'
  readonly threads: number
}

const MASK = 'attention_mask'

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

export type Encoded = {
  /** [rows, positions, width] */
  readonly states: Tensor
  /** Some exports ask for a mask over the sound, so long for each row; null for those that don't. */
  readonly maskLength: number | null
}

export type Seq2Seq = {
  readonly tokenizer: PreTrainedTokenizer
  /** Names of the encoder's inputs, and the sizes it declares for them; a name stands where it leaves one open. */
  readonly inputs: ReadonlyMap<string, readonly unknown[]>
  /** `features` with the rows as first dimension. */
  readonly encode: (features: Tensor) => Promise<Encoded>
  /** The next tokens of each row, all rows equally many: the whole prompt first (without cache), then one at a time. */
  readonly step: (encoded: Encoded, tokens: readonly (readonly number[])[], cache: Cache | null) => Promise<DecoderStep>
  /** Some of the rows, in that order; all of them are no copy. */
  readonly selectRows: (encoded: Encoded, rows: readonly number[]) => Encoded
  readonly selectCache: (cache: Cache, rows: readonly number[]) => Cache
  /** The words of the tokens, without the special ones. */
  readonly textOf: (tokens: readonly number[]) => string
  readonly close: () => Promise<void>
}

/** The part of the library's model classes that is used here. */
type ModelClass = { from_pretrained(dir: string, options: object): Promise<PreTrainedModel> }

/** `inputName`: what the encoder calls the sound. Throws when a file is missing or not of the expected form. */
export async function loadSeq2Seq(
  modelClass: ModelClass,
  inputName: string,
  { dir, dtype, threads }: SpeechModelFiles,
): Promise<Seq2Seq> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE // on a failed run the library would print its inputs, which are somebody's speech
  const session = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
  const [model, tokenizer] = await Promise.all([
    modelClass.from_pretrained(dir, { dtype, local_files_only: true, session_options: session }),
    AutoTokenizer.from_pretrained(dir, { local_files_only: true }),
  ])
  const inputs = inputsOf(model)
  return {
    tokenizer,
    inputs,
    encode: (features) => encode(model, inputName, features, inputs.has(MASK) ? (features.dims.at(-1) ?? 0) : null),
    step: (encoded, tokens, cache) => step(model, inputName, { encoded, tokens, cache }),
    selectRows: ({ states, maskLength }, rows) => ({ states: select(states, rows), maskLength }),
    selectCache: (cache, rows) =>
      Object.fromEntries(Object.entries(cache).map(([name, tensor]) => [name, select(tensor, rows)])),
    textOf: (tokens) => (tokens.length > 0 ? tokenizer.decode([...tokens], { skip_special_tokens: true }) : ''),
    close: async () => {
      await model.dispose()
    },
  }
}

const Metadata = z.object({
  inputMetadata: z.array(z.object({ name: z.string(), shape: z.array(z.unknown()).default([]) })),
})

function inputsOf(model: PreTrainedModel): Map<string, readonly unknown[]> {
  const encoder: unknown = model.sessions['model']
  const { inputMetadata } = Metadata.parse(encoder)
  return new Map(inputMetadata.map(({ name, shape }) => [name, shape]))
}

async function encode(
  model: PreTrainedModel,
  inputName: string,
  features: Tensor,
  maskLength: number | null,
): Promise<Encoded> {
  // oxlint-disable-next-line no-underscore-dangle -- the library has no other name for the encoder alone
  const outputs: { encoder_outputs?: unknown } = await model._prepare_encoder_decoder_kwargs_for_generation({
    inputs_tensor: features,
    model_inputs: { [inputName]: features, ...masked(features.dims[0] ?? 0, maskLength) },
    model_input_name: inputName,
    generation_config: { guidance_scale: null },
  })
  if (!(outputs.encoder_outputs instanceof Tensor)) throw new Error('expected a tensor from the encoder')
  return { states: outputs.encoder_outputs, maskLength }
}

/** All of it is to be heard: what shares a batch is equally long. */
function masked(rows: number, length: number | null): Readonly<Record<string, Tensor>> {
  if (length === null) return {}
  return { [MASK]: new Tensor('int64', new BigInt64Array(rows * length).fill(1n), [rows, length]) }
}

type StepInput = { encoded: Encoded; tokens: readonly (readonly number[])[]; cache: Cache | null }

async function step(
  model: PreTrainedModel,
  inputName: string,
  { encoded: { states, maskLength }, tokens, cache }: StepInput,
): Promise<DecoderStep> {
  const ids = BigInt64Array.from(tokens.flat(), BigInt)
  const outputs: Readonly<Record<string, unknown>> = await model.forward({
    // Never read: the library takes the number of rows from it.
    [inputName]: new Tensor('float32', new Float32Array(tokens.length), [tokens.length]),
    encoder_outputs: states,
    ...masked(tokens.length, maskLength),
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
