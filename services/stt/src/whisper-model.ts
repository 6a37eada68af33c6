/** A Whisper export: log-mel features go into its encoder, and its decoder may show where it looked. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tensor } from 'onnxruntime-node'
import * as z from 'zod'
import { fuseAttention } from './fused-attention.ts'
import { readGenerationSettings } from './generation-settings.ts'
import type { GenerationSettings } from './generation-settings.ts'
import { openWindow } from './open-window.ts'
import { loadSeq2Seq } from './seq2seq.ts'
import type { Encoded, Seq2Seq, SpeechModelFiles } from './seq2seq.ts'

const ModelShape = z.object({ num_mel_bins: z.number(), max_target_positions: z.number() })

export type WhisperModel = Omit<Seq2Seq, 'encode' | 'inputs'> & {
  readonly mels: number
  /** Tokens that one window may become, as in OpenAI's own program: half of the decoder's positions. */
  readonly maxTokens: number
  readonly settings: GenerationSettings
  /** The frames the encoder says it takes; null when it leaves the length open. */
  readonly declaredFrames: number | null
  /** `features` as [mels, frames]; one row comes of it. */
  encode(features: Float32Array, frames: number): Promise<Encoded>
}

/** `window`: whether an encoder that always hears 30 s is changed to hear less. Throws when a file is missing or not of the expected form, and when the encoder can not be changed. */
export async function loadWhisper(files: SpeechModelFiles, window: 'opened' | 'as-is'): Promise<WhisperModel> {
  const [{ encode, inputs, ...rest }, shape, settings] = await Promise.all([
    loadSeq2Seq('input_features', files, window === 'opened' ? openedAndFused : fuseAttention),
    readShape(files.dir),
    readGenerationSettings(files.dir),
  ])
  const mels = shape.num_mel_bins
  const frames = inputs.get('input_features')?.[2]
  return {
    ...rest,
    mels,
    maxTokens: Math.floor(shape.max_target_positions / 2),
    settings,
    declaredFrames: typeof frames === 'number' && frames > 0 ? frames : null,
    encode: (features, length) => encode(new Tensor('float32', features, [1, mels, length])),
  }
}

function openedAndFused(file: Uint8Array): Uint8Array {
  const opened = openWindow(file)
  if (!opened)
    throw new Error(
      'expected an encoder that adds a table of 1500 positions, to fit its window: set STT_FIT_WINDOW=off',
    )
  return fuseAttention(opened) ?? opened
}

const readShape = async (dir: string): Promise<z.infer<typeof ModelShape>> =>
  ModelShape.parse(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')))
