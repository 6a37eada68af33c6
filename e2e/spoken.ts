/** The recorded speech of `models/speech`, and what a test asks of a sound. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { durationSeconds } from '@hearth/shared/audio'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import { ROOT } from './stack.ts'

const FOLDER = join(ROOT, 'models', 'speech')

export const recordingPath = (name: string) => join(FOLDER, name)

export const recording = (name: string): File =>
  new File([readFileSync(recordingPath(name))], name, { type: 'audio/wav' })

/** What is said in a recording. */
export function transcriptOf(name: string): string {
  const rows = readFileSync(join(FOLDER, 'transcripts.tsv'), 'utf8').split('\n')
  const [, , text] = rows.find((row) => row.startsWith(`${name}\t`))?.split('\t') ?? []
  if (text === undefined) throw new Error(`no transcript of ${name}`)
  return text
}

/** Length and loudness (root mean square, 0 to 1) of a WAV file. */
export function measure(wav: Uint8Array): { seconds: number; level: number } {
  const audio = decodeWav(wav)
  const power = audio.samples.reduce((sum, sample) => sum + sample * sample, 0) / audio.samples.length
  return { seconds: durationSeconds(audio), level: Math.sqrt(power) }
}

export const silence = (seconds: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(encodeWav({ samples: new Float32Array(seconds * 16_000), sampleRateHz: 16_000 }))

/** A WAV file of 32-bit floats, none of which is a number. */
export function notNumbers(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + 4 * 16_000)
  bytes.set(silence(0))
  const view = new DataView(bytes.buffer)
  view.setUint32(4, bytes.length - 8, true)
  view.setUint16(20, 3, true) // IEEE float
  view.setUint32(28, 4 * 16_000, true)
  view.setUint16(32, 4, true)
  view.setUint16(34, 32, true)
  view.setUint32(40, bytes.length - 44, true)
  for (let offset = 44; offset < bytes.length; offset += 4) view.setFloat32(offset, Number.NaN, true)
  return bytes
}
