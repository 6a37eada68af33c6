/**
 * Silero VAD in onnxruntime: how likely each 32 ms of a sound are speech. The model is small and strictly serial, so clips share
 * a step, and long ones are split into rows that begin a little early to find their feet.
 */
import { createRequire } from 'node:module'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { InferenceSession, Tensor } from 'onnxruntime-node'

export type VoiceInput = {
  /** Mono at 16 kHz. */
  readonly samples: Float32Array
  /** Frames at the beginning that are only listened to. */
  readonly skipFrames: number
  /** So many frames of speech one after the other are enough: the rest is not listened to, and the output ends there. */
  readonly enough?: { readonly threshold: number; readonly frames: number }
}

/** A probability for each whole or begun frame after those that were skipped. */
export type VoiceOutput = Float32Array

export const FRAME_SAMPLES = 512
const SAMPLE_RATE_HZ = 16_000n
/** What the model hears again of the frame before. */
const CONTEXT_SAMPLES = 64
const STATE_SIZE = 128
const MODEL_FILE = '@ricky0123/vad-web/dist/silero_vad_v6.onnx'
const LOG_FATAL = 4

export function createEngine(options: { readonly maxBatchSize: number }): Engine<VoiceInput, VoiceOutput> {
  return new SileroEngine(options.maxBatchSize)
}

class SileroEngine implements Engine<VoiceInput, VoiceOutput> {
  readonly maxBatchSize: number
  readonly warmupInputs: readonly VoiceInput[] = [{ samples: new Float32Array(8 * FRAME_SAMPLES), skipFrames: 0 }]
  #session: InferenceSession | undefined

  constructor(maxBatchSize: number) {
    this.maxBatchSize = maxBatchSize
  }

  async load(): Promise<void> {
    this.#session = await InferenceSession.create(createRequire(import.meta.url).resolve(MODEL_FILE), {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: LOG_FATAL,
    })
  }

  async run(batch: readonly VoiceInput[], { signal }: EngineRun): Promise<VoiceOutput[]> {
    const session = this.#session
    if (!session) throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    const rows = batch.map((input) => new Row(input))
    const rate = new Tensor('int64', BigInt64Array.of(SAMPLE_RATE_HZ), [])
    let state = new Tensor('float32', new Float32Array(2 * batch.length * STATE_SIZE), [2, batch.length, STATE_SIZE])
    for (let frame = 0; rows.some((row) => row.frames > frame); frame++) {
      signal.throwIfAborted()
      const results = await session.run({ input: frameOf(batch, frame), state, sr: rate })
      state = new Tensor('float32', floatsOf(results['stateN']), [2, batch.length, STATE_SIZE])
      const probabilities = floatsOf(results['output'])
      for (const [at, row] of rows.entries()) row.hear(frame, probabilities[at] ?? 0)
    }
    return rows.map((row) => row.output())
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.release()
  }
}

/** One clip on its way. */
class Row {
  /** Frames of the clip that are to be listened to. */
  frames: number
  readonly #input: VoiceInput
  readonly #probabilities: Float32Array<ArrayBuffer>
  #inARow = 0

  constructor(input: VoiceInput) {
    this.#input = input
    this.frames = framesIn(input.samples)
    this.#probabilities = new Float32Array(this.frames)
  }

  hear(frame: number, probability: number): void {
    if (frame >= this.frames) return
    this.#probabilities[frame] = probability
    const { enough } = this.#input
    if (!enough) return
    this.#inARow = probability >= enough.threshold ? this.#inARow + 1 : 0
    if (this.#inARow >= enough.frames) this.frames = frame + 1
  }

  output(): VoiceOutput {
    return this.#probabilities.slice(this.#input.skipFrames, this.frames)
  }
}

const framesIn = (samples: Float32Array): number => Math.ceil(samples.length / FRAME_SAMPLES)

/** [rows, context + frame]; silence before the beginning and after the end. */
function frameOf(batch: readonly VoiceInput[], frame: number): Tensor {
  const width = CONTEXT_SAMPLES + FRAME_SAMPLES
  const values = new Float32Array(batch.length * width)
  for (const [row, { samples }] of batch.entries()) {
    const from = frame * FRAME_SAMPLES - CONTEXT_SAMPLES
    const part = samples.subarray(Math.max(0, from), Math.max(0, from + width))
    values.set(part, row * width + Math.max(0, -from))
  }
  return new Tensor('float32', values, [batch.length, width])
}

function floatsOf(value: unknown): Float32Array {
  if (value instanceof Tensor && value.data instanceof Float32Array) return value.data
  throw new Error('expected float32 from the voice detector')
}
