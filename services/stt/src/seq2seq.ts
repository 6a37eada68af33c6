/**
 * An encoder and a merged decoder with cache, as the hub's exports have them, in the calls that recognition needs. transformers.js reads the
 * tokens; its `generate` is not used: it runs finished rows on until the last one ends, counts a batch's forced tokens
 * wrongly, and gives neither the language nor the chance that nobody spoke.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AutoTokenizer, env } from '@huggingface/transformers'
import type { PreTrainedTokenizer } from '@huggingface/transformers'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import * as z from 'zod'
import { ATTENTION } from './graph-outputs.ts'
import { concat, floatsOf, free, select } from './tensor-rows.ts'

export type SpeechModelFiles = {
  /** The folder with config.json, generation_config.json, tokenizer.json, onnx/. */
  readonly dir: string
  readonly dtype: 'fp32' | 'q8'
  readonly threads: number
}

const MASK = 'attention_mask'
/** Fatal errors only: the runtime's messages would quote its inputs, which are somebody's speech. */
const LOG_FATAL = 4

/** The decoder's keys and values by the names of its inputs; those of the encoder stay what the first step gave. */
export type Cache = Readonly<Record<string, Tensor>>

export type DecoderStep = {
  /** [rows, tokens, vocabulary] */
  readonly logits: Float32Array
  readonly vocabulary: number
  readonly cache: Cache
  /** How the tokens of a first step looked at the sound: one [rows, heads, tokens, positions] for each layer, if the export has them. */
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
  /** The next tokens of each row, all rows equally many: the whole prompt first, then one at a time. The step before is used up. */
  readonly step: (
    encoded: Encoded,
    tokens: readonly (readonly number[])[],
    before: DecoderStep | null,
  ) => Promise<DecoderStep>
  /** Some of the rows, in that order; all of them are no copy. */
  readonly selectRows: (encoded: Encoded, rows: readonly number[]) => Encoded
  /** A step as if it had been taken with some of its rows only, in that order; it is used up, and its logits with it. */
  readonly selectStep: (step: DecoderStep, rows: readonly number[]) => DecoderStep
  /** For the last one: its memory goes back. */
  readonly discard: (step: DecoderStep) => void
  /** The words of the tokens, without the special ones. */
  readonly textOf: (tokens: readonly number[]) => string
  readonly close: () => Promise<void>
}

/** The encoder's file as it is to be loaded; null leaves it as it is. */
type EncoderChange = (file: Uint8Array) => Uint8Array | null

/** `inputName`: what the encoder calls the sound. Throws when a file is missing or not of the expected form. */
export async function loadSeq2Seq(
  inputName: string,
  { dir, dtype, threads }: SpeechModelFiles,
  change?: EncoderChange,
): Promise<Seq2Seq> {
  env.allowRemoteModels = false
  const folder = join(dir, 'onnx')
  const suffix = dtype === 'q8' ? '_quantized' : ''
  const [encoder, decoder, tokenizer] = await Promise.all([
    openEncoder(folder, `encoder_model${suffix}.onnx`, { threads, change }),
    InferenceSession.create(join(folder, `decoder_model_merged${suffix}.onnx`), sessionOptions(threads)),
    AutoTokenizer.from_pretrained(dir, { local_files_only: true }),
  ])
  const inputs = inputsOf(encoder)
  const empty = emptyCacheOf(decoder)
  return {
    tokenizer,
    inputs,
    encode: (features) => encode(encoder, inputName, features),
    step: (encoded, tokens, before) =>
      step(decoder, { encoded, tokens, cache: before?.cache ?? empty(tokens.length) }, before),
    selectRows: ({ states, maskLength }, rows) => ({ states: select(states, rows), maskLength }),
    selectStep,
    discard: (last) => free([last.logits, ...Object.values(last.cache), ...last.attentions]),
    textOf: (tokens) => (tokens.length > 0 ? tokenizer.decode([...tokens], { skip_special_tokens: true }) : ''),
    close: async () => {
      await encoder.release()
      await decoder.release()
    },
  }
}

const sessionOptions = (
  threads: number,
  more: Readonly<Record<string, string>> = {},
): InferenceSession.SessionOptions => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, ...more } },
  logSeverityLevel: LOG_FATAL,
})

type Opening = { readonly threads: number; readonly change: EncoderChange | undefined }

/** As the runtime takes it: a changed file whose weights lie behind links out of the folder, as in the hub's cache, it refuses. */
async function openEncoder(folder: string, name: string, { threads, change }: Opening): Promise<InferenceSession> {
  const path = join(folder, name)
  const changed = change && (await changedFile(path, change))
  const session = changed && (await openChanged(changed, folder, threads).catch(() => null))
  return session ?? InferenceSession.create(path, sessionOptions(threads))
}

async function changedFile(path: string, change: EncoderChange): Promise<Uint8Array | null> {
  const file = await readFile(path)
  const changed = change(file)
  free([file])
  return changed
}

async function openChanged(file: Uint8Array, folder: string, threads: number): Promise<InferenceSession> {
  // Weights may lie in files beside it.
  const options = sessionOptions(threads, { model_external_initializers_file_folder_path: folder })
  const session = await InferenceSession.create(file, options)
  free([file]) // the session has its own copy
  return session
}

const Metadata = z.array(z.object({ name: z.string(), shape: z.array(z.unknown()).default([]) }))

const inputsOf = ({ inputMetadata }: InferenceSession): Map<string, readonly unknown[]> =>
  new Map(Metadata.parse(inputMetadata).map(({ name, shape }) => [name, shape]))

/** What the decoder is given for keys and values before there are any: nothing, for each row. */
function emptyCacheOf(decoder: InferenceSession): (rows: number) => Cache {
  const kept = [...inputsOf(decoder)].filter(([name]) => name.startsWith('past_key_values'))
  const sizes = (shape: readonly unknown[]) => shape.slice(1).map((size) => (typeof size === 'number' ? size : 0))
  return (rows) =>
    Object.fromEntries(
      kept.map(([name, shape]) => [name, new Tensor('float32', new Float32Array(), [rows, ...sizes(shape)])]),
    )
}

async function encode(encoder: InferenceSession, inputName: string, features: Tensor): Promise<Encoded> {
  const [rows = 0, ...rest] = features.dims
  const maskLength = encoder.inputNames.includes(MASK) ? (rest.at(-1) ?? 0) : null
  const mask = maskLength === null ? {} : { [MASK]: maskOf(rows, maskLength) }
  const { last_hidden_state: states } = await encoder.run({ [inputName]: features, ...mask })
  if (!states) throw new Error('expected a last hidden state from the encoder')
  return { states, maskLength }
}

/** All of it is to be heard: what shares a batch is equally long. */
const maskOf = (rows: number, length: number): Tensor =>
  new Tensor('int64', new BigInt64Array(rows * length).fill(1n), [rows, length])

type StepInput = { encoded: Encoded; tokens: readonly (readonly number[])[]; cache: Cache }

async function step(
  decoder: InferenceSession,
  { encoded: { states, maskLength }, tokens, cache }: StepInput,
  before: DecoderStep | null,
): Promise<DecoderStep> {
  const feeds: Readonly<Record<string, Tensor>> = {
    ...cache,
    input_ids: new Tensor('int64', BigInt64Array.from(tokens.flat(), BigInt), [tokens.length, tokens[0]?.length ?? 0]),
    encoder_hidden_states: states,
    use_cache_branch: new Tensor('bool', [before !== null], [1]),
    ...(maskLength !== null && { [`encoder_${MASK}`]: maskOf(tokens.length, maskLength) }),
  }
  const outputs = await decoder.run(
    pick(feeds, decoder.inputNames),
    before ? lastingOutputs(decoder) : decoder.outputNames,
  )
  const { logits } = outputs
  if (!logits) throw new Error('expected logits from the decoder')
  const next = nextCache(outputs, before?.cache ?? null)
  const kept = new Set(Object.values(next))
  if (before) free([before.logits, ...before.attentions, ...Object.values(cache).filter((tensor) => !kept.has(tensor))])
  return {
    logits: floatsOf(logits),
    vocabulary: logits.dims.at(-1) ?? 0,
    cache: next,
    attentions: attentionsOf(outputs),
  }
}

/** What a step after the first gives that the next one needs. Some exports hand the sound's keys and values back each time, a copy of megabytes. */
const lastingOutputs = ({ outputNames }: InferenceSession): string[] =>
  outputNames.filter((name) => !name.includes('.encoder.') && !name.startsWith(ATTENTION))

/** Exports differ in what they take. */
const pick = <T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> =>
  Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)))

/** `cross_attentions.0` and so on, by layer. */
function attentionsOf(outputs: Readonly<Record<string, Tensor>>): Tensor[] {
  const layers: Tensor[] = []
  for (let value = outputs[`${ATTENTION}.0`]; value;) {
    layers.push(value)
    value = outputs[`${ATTENTION}.${layers.length}`]
  }
  return layers
}

/** Sounds of equal length as rows of one; a single one is no copy. */
export function joinRows(sounds: readonly Encoded[]): Encoded {
  const [first, ...others] = sounds
  if (!first) throw new Error('expected at least one sound to join: this is a bug')
  return others.length === 0 ? first : { ...first, states: concat(sounds.map(({ states }) => states)) }
}

function selectStep(last: DecoderStep, rows: readonly number[]): DecoderStep {
  const cache = Object.fromEntries(Object.entries(last.cache).map(([name, tensor]) => [name, select(tensor, rows)]))
  free(Object.entries(last.cache).flatMap(([name, tensor]) => (tensor === cache[name] ? [] : [tensor])))
  return { ...last, cache }
}

/** `present.0.decoder.key` is next called `past_key_values.0.decoder.key`; what this step did not give stays. */
function nextCache(outputs: Readonly<Record<string, Tensor>>, before: Cache | null): Cache {
  const fresh = Object.entries(outputs).filter(([name]) => name.startsWith('present'))
  return {
    ...before,
    ...Object.fromEntries(fresh.map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor])),
  }
}
