/**
 * smart-turn v3's ONNX interface in onnxruntime: how likely a turn is over, from the sound of its end. It hears the last 8 s as Whisper's
 * features, [batch, 80, 800], and answers with a probability for each row, [batch, 1] (its sigmoid is inside the graph).
 * https://github.com/pipecat-ai/smart-turn
 */
import { join } from 'node:path'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createLogMel, HOP_SAMPLES } from './log-mel.ts'

/** Mono at 16 kHz; of what is longer than 8 s the end is heard. */
export type TurnEndInput = { readonly samples: Float32Array }

export type TurnEndOptions = {
  readonly dir: string
  /** The graph, a path inside `dir`. */
  readonly file: string
  readonly threads: number
  readonly maxBatchSize: number
}

const SAMPLE_RATE_HZ = 16_000
const WINDOW_SAMPLES = 8 * SAMPLE_RATE_HZ
const MELS = 80
const FRAMES = WINDOW_SAMPLES / HOP_SAMPLES
const LOG_FATAL = 4

export function createEngine(options: TurnEndOptions): Engine<TurnEndInput, number> {
  return new TurnEndEngine(options)
}

class TurnEndEngine implements Engine<TurnEndInput, number> {
  readonly maxBatchSize: number
  readonly warmupInputs: readonly TurnEndInput[] = [{ samples: new Float32Array(WINDOW_SAMPLES) }]
  readonly #options: TurnEndOptions
  readonly #logMel = createLogMel(MELS)
  #session: InferenceSession | undefined

  constructor(options: TurnEndOptions) {
    this.#options = options
    this.maxBatchSize = options.maxBatchSize
  }

  async load(): Promise<void> {
    const { dir, file, threads } = this.#options
    this.#session = await InferenceSession.create(join(dir, file), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: LOG_FATAL,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    })
  }

  async run(batch: readonly TurnEndInput[], { signal }: EngineRun): Promise<number[]> {
    const session = this.#session
    if (!session) throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    const features = new Float32Array(batch.length * MELS * FRAMES)
    for (const [row, { samples }] of batch.entries()) {
      signal.throwIfAborted()
      this.#logMel(turnWindow(samples), FRAMES, features, row * MELS * FRAMES)
    }
    const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]]
    const results = await session.run({ [input]: new Tensor('float32', features, [batch.length, MELS, FRAMES]) })
    const data = results[output]?.data
    if (!(data instanceof Float32Array) || data.length !== batch.length)
      throw new Error(`expected ${batch.length} float32 probabilities from the turn-end model, got ${data?.length}`)
    return Array.from(data)
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.release()
  }
}

/** The last 8 s with silence before what is shorter, at zero mean and unit variance, as the model was trained. */
export function turnWindow(samples: Float32Array): Float32Array {
  const window = new Float32Array(WINDOW_SAMPLES)
  const last = samples.subarray(Math.max(0, samples.length - WINDOW_SAMPLES))
  window.set(last, WINDOW_SAMPLES - last.length)
  let [sum, squares] = [0, 0]
  for (const sample of last) {
    sum += sample
    squares += sample * sample
  }
  const mean = sum / WINDOW_SAMPLES
  const scale = 1 / Math.sqrt(squares / WINDOW_SAMPLES - mean * mean + 1e-7)
  for (let at = 0; at < WINDOW_SAMPLES; at++) window[at] = ((window[at] ?? 0) - mean) * scale
  return window
}
