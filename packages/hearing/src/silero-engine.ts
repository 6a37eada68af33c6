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
  /** Of the sound just before, when `samples` go on with it: its output's `memory`. */
  readonly memory?: Float32Array
}

export type VoiceOutput = {
  /** For each whole or begun frame after those that were skipped. */
  readonly probabilities: Float32Array<ArrayBuffer>
  /** What the model carries to the frame after the last that was listened to: its state and the end of the sound. */
  readonly memory: Float32Array<ArrayBuffer>
}

export const FRAME_SAMPLES = 512
const SAMPLE_RATE_HZ = 16_000n
/** What the model hears again of the frame before. */
const CONTEXT_SAMPLES = 64
/** Of the recurrent layer's two vectors each. */
const STATE_SIZE = 128
const STATE_VALUES = 2 * STATE_SIZE
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
    for (let frame = 0; rows.some((row) => row.frames > frame); frame++) {
      signal.throwIfAborted()
      const active = rows.filter((row) => row.frames > frame)
      const results = await session.run({ input: soundOf(active, frame), state: stateOf(active), sr: rate })
      const [states, probabilities] = [floatsOf(results['stateN']), floatsOf(results['output'])]
      for (const [at, row] of active.entries())
        row.hear(frame, probabilities[at] ?? 0, { states, at, rows: active.length })
    }
    return rows.map((row) => row.output())
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.release()
  }
}

/** [2, rows, 128], of which a row keeps its own. */
type States = { readonly states: Float32Array; readonly at: number; readonly rows: number }

/** One clip on its way. */
class Row {
  /** Frames of the clip that are to be listened to. */
  frames: number
  /** [2, 128] */
  readonly state = new Float32Array(STATE_VALUES)
  readonly #input: VoiceInput
  readonly #probabilities: Float32Array<ArrayBuffer>
  #inARow = 0

  constructor(input: VoiceInput) {
    this.#input = input
    this.frames = Math.ceil(input.samples.length / FRAME_SAMPLES)
    this.#probabilities = new Float32Array(this.frames)
    if (input.memory) this.state.set(input.memory.subarray(0, STATE_VALUES))
  }

  /** The frame's sound and what came just before it, into `out` of [64 + 512]; silence before the beginning and after the end. */
  copySound(frame: number, out: Float32Array): void {
    const { samples, memory } = this.#input
    const from = frame * FRAME_SAMPLES - CONTEXT_SAMPLES
    if (from < 0 && memory) out.set(memory.subarray(STATE_VALUES))
    out.set(samples.subarray(Math.max(0, from), Math.max(0, from + out.length)), Math.max(0, -from))
  }

  hear(frame: number, probability: number, { states, at, rows }: States): void {
    for (const [layer, to] of [0, STATE_SIZE].entries()) {
      const from = (layer * rows + at) * STATE_SIZE
      this.state.set(states.subarray(from, from + STATE_SIZE), to)
    }
    this.#probabilities[frame] = probability
    const { enough } = this.#input
    if (!enough) return
    this.#inARow = probability >= enough.threshold ? this.#inARow + 1 : 0
    if (this.#inARow >= enough.frames) this.frames = frame + 1
  }

  output(): VoiceOutput {
    const width = CONTEXT_SAMPLES + FRAME_SAMPLES
    const last = new Float32Array(width)
    if (this.frames > 0) this.copySound(this.frames - 1, last)
    else if (this.#input.memory) last.set(this.#input.memory.subarray(STATE_VALUES), FRAME_SAMPLES)
    const memory = new Float32Array(STATE_VALUES + CONTEXT_SAMPLES)
    memory.set(this.state)
    memory.set(last.subarray(FRAME_SAMPLES), STATE_VALUES)
    return { probabilities: this.#probabilities.slice(this.#input.skipFrames, this.frames), memory }
  }
}

/** [rows, context + frame] */
function soundOf(rows: readonly Row[], frame: number): Tensor {
  const width = CONTEXT_SAMPLES + FRAME_SAMPLES
  const values = new Float32Array(rows.length * width)
  for (const [at, row] of rows.entries()) row.copySound(frame, values.subarray(at * width, (at + 1) * width))
  return new Tensor('float32', values, [rows.length, width])
}

/** [2, rows, 128] */
function stateOf(rows: readonly Row[]): Tensor {
  const values = new Float32Array(rows.length * STATE_VALUES)
  for (const [at, { state }] of rows.entries())
    for (const layer of [0, 1])
      values.set(state.subarray(layer * STATE_SIZE, (layer + 1) * STATE_SIZE), (layer * rows.length + at) * STATE_SIZE)
  return new Tensor('float32', values, [2, rows.length, STATE_SIZE])
}

function floatsOf(value: unknown): Float32Array {
  if (value instanceof Tensor && value.data instanceof Float32Array) return value.data
  throw new Error('expected float32 from the voice detector')
}
