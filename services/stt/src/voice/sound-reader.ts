/** A recording as it comes: what is needed next is asked for, and what is not needed any more is let go. */
import { AudioWindow } from './audio-window.ts'

/** Samples at 16 kHz, from and to, counted from the beginning of the recording, and what lies between. */
export type Chunk = { readonly from: number; readonly to: number; readonly samples: Float32Array<ArrayBuffer> }

/** 16-bit samples at 16 kHz, in order. */
export type Pieces = AsyncIterable<Int16Array> | Iterable<Int16Array>

export class SoundReader {
  readonly #pieces: AsyncGenerator<Int16Array>
  readonly #window = new AudioWindow()

  constructor(pieces: Pieces) {
    this.#pieces = inTurn(pieces)
  }

  /** How far it was read. */
  get end(): number {
    return this.#window.end
  }

  /** Reads to a position, and maybe beyond. False when the recording ends before it. */
  async fill(to: number): Promise<boolean> {
    while (this.end < to) {
      const { done, value } = await this.#pieces.next()
      if (done) return false
      this.#window.append(floats(value))
    }
    return true
  }

  /** A copy. */
  slice(from: number, to: number): Float32Array<ArrayBuffer> {
    return this.#window.slice(from, to)
  }

  chunk(from: number, to: number): Chunk {
    return { from, to, samples: this.slice(from, to) }
  }

  dropBefore(position: number): void {
    this.#window.dropBefore(position)
  }

  /** Lets go of where the sound comes from. */
  async close(): Promise<void> {
    await this.#pieces.return(undefined)
  }
}

async function* inTurn(pieces: Pieces): AsyncGenerator<Int16Array> {
  yield* pieces
}

/** The thread that serves runs it, and `Float32Array.from` would take fifty times as long. */
function floats(samples: Int16Array): Float32Array {
  const converted = new Float32Array(samples)
  for (let at = 0; at < converted.length; at++) converted[at] = (converted[at] ?? 0) / 32_768
  return converted
}
