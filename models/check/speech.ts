/** The held-out recordings in models/speech: 16 kHz mono WAV files and what is said in them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeWav } from '@hearth/shared/wav'

export type Sample = {
  readonly file: string
  readonly language: string
  readonly text: string
  /** Seconds at which the sentence can be cut in its middle; null where it was too short. */
  readonly cutSeconds: number | null
  readonly kind: 'sentence' | 'short'
  readonly samples: Float32Array
}

/** Reads `transcripts.tsv` (file, language, text, voice, cut, kind) and the recordings beside it. */
export function readSpeech(folder: string): Sample[] {
  const [, ...lines] = readFileSync(join(folder, 'transcripts.tsv'), 'utf8').trim().split('\n')
  return lines.map((line) => {
    const [file = '', language = '', text = '', , cut = '', kind = ''] = line.split('\t')
    return {
      file,
      language,
      text,
      cutSeconds: Number(cut) || null,
      kind: kind === 'short' ? 'short' : 'sentence',
      samples: decodeWav(readFileSync(join(folder, file))).samples,
    }
  })
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

export const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)} %`
