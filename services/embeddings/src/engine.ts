/**
 * A sentence encoder (BERT) in onnxruntime: token ids to one unit vector per row, the mean of the tokens' vectors. A batch is
 * padded to its own longest row, and the padding is masked out of attention and mean.
 */
import { join } from 'node:path'
import type { Engine } from '@hearth/shared/engine'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { padRows } from './padding.ts'
import type { TokenIds } from './padding.ts'
import { meanPool } from './pooling.ts'

export type EngineOptions = {
  /** The folder with config.json and onnx/. */
  readonly dir: string
  readonly dtype: 'fp32' | 'q8'
  readonly threads: number
  readonly maxBatchSize: number
}

export function createEngine(options: EngineOptions): Engine<TokenIds, Float32Array> {
  return new SentenceEncoder(options)
}

const FILES = { fp32: 'onnx/model.onnx', q8: 'onnx/model_quantized.onnx' } as const
const WARM_TOKENS = { short: 8, long: 64 } as const
/** Fatal errors only: the runtime's messages would quote its inputs. */
const LOG_FATAL = 4

class SentenceEncoder implements Engine<TokenIds, Float32Array> {
  readonly maxBatchSize: number
  readonly warmupInputs: readonly [TokenIds, ...TokenIds[]]
  readonly #options: EngineOptions
  #session: InferenceSession | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.maxBatchSize = options.maxBatchSize
    // Any id below the vocabulary's size will do: only the shape is warmed.
    this.warmupInputs = [new Int32Array(WARM_TOKENS.short).fill(1), new Int32Array(WARM_TOKENS.long).fill(1)]
  }

  async load(): Promise<void> {
    const { dir, dtype, threads } = this.#options
    this.#session = await InferenceSession.create(join(dir, FILES[dtype]), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      logSeverityLevel: LOG_FATAL,
    })
  }

  async run(batch: readonly TokenIds[]): Promise<Float32Array[]> {
    const session = this.#session
    if (!session) throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    const known = Object.entries(inputsOf(batch)).filter(([name]) => session.inputNames.includes(name))
    const { last_hidden_state: states } = await session.run(Object.fromEntries(known))
    if (!(states?.data instanceof Float32Array)) throw new Error('expected a float32 last hidden state from the model')
    return meanPool(
      states.data,
      batch.map(({ length }) => length),
    )
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.release()
  }
}

/** The inputs that encoders of this kind have, each [rows, longest]; models read the ones they know. */
function inputsOf(batch: readonly TokenIds[]): Record<string, Tensor> {
  const { ids, mask, longest } = padRows(batch)
  const tensor = (data: BigInt64Array) => new Tensor('int64', data, [batch.length, longest])
  return { input_ids: tensor(ids), attention_mask: tensor(mask), token_type_ids: tensor(new BigInt64Array(ids.length)) }
}
