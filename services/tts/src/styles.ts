/**
 * How a voice sounds, as Kokoro is given it: one row of 256 numbers for each length of text. A mix of voices is the weighted mean of their
 * rows (as Kokoro-FastAPI mixes them). Tables are read once and kept.
 */
import { readFileSync } from 'node:fs'
import type { VoiceMix } from './voice-mix.ts'
import { voiceFile } from './voices.ts'

/** A voice's table: [510, 1, 256], one row for each length in tokens. */
const STYLE_ROWS = 510
export const STYLE_WIDTH = 256

export class Styles {
  readonly #dir: string
  readonly #tables = new Map<string, Float32Array>()

  /** `dir` is the model's folder. */
  constructor(dir: string) {
    this.#dir = dir
  }

  /** The row for a text of so many tokens, in an array of its own: [256]. Throws when a voice's file isn't there or has another size. */
  row(mix: VoiceMix, tokens: number): Float32Array {
    const from = Math.min(Math.max(tokens, 0), STYLE_ROWS - 1) * STYLE_WIDTH
    const mean = new Float32Array(STYLE_WIDTH)
    for (const { voice, share } of mix) {
      const table = this.#table(voice)
      for (let i = 0; i < STYLE_WIDTH; i++) mean[i] = (mean[i] ?? 0) + share * (table[from + i] ?? 0)
    }
    return mean
  }

  #table(voice: string): Float32Array {
    const table = this.#tables.get(voice) ?? readTable(voiceFile(this.#dir, voice))
    this.#tables.set(voice, table)
    return table
  }
}

/** A voice's table, as [510 * 256] little-endian floats. */
function readTable(path: string): Float32Array {
  const bytes = readFileSync(path)
  const expected = STYLE_ROWS * STYLE_WIDTH * 4
  if (bytes.byteLength !== expected)
    throw new Error(`expected a voice file of ${expected} bytes, got ${bytes.byteLength}`)
  return new Float32Array(new Uint8Array(bytes).buffer)
}
