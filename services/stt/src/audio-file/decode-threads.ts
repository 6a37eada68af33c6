/**
 * The decoding threads, from the side that serves: a file goes to a free one, and a thread that takes too long or too much memory is ended
 * with its file. The next file gets a new one.
 */
import { DecodePlaces } from './decode-places.ts'
import type { PlaceOptions } from './decode-places.ts'
import type { DecodeTask } from './decode-thread.ts'
import { DecodeWorker } from './decode-worker.ts'
import type { Piece } from './read-audio.ts'
import type { AudioLimits } from './recording-length.ts'
import type { Pieces } from '../voice/sound-reader.ts'

export type ReadAudio = {
  /** Of the recording, at its own rate. */
  readonly seconds: number
  readonly warnings: readonly string[]
  /** Mono at 16 kHz, in order, once. Of a long recording each is decoded when it is asked for. */
  readonly pieces: Pieces
}

export type DecodeOptions = PlaceOptions & {
  /** Longest time for the first seconds of sound; after that a second of sound may take a twentieth of a second. */
  readonly limitMs?: number
}

const LIMIT_MS = 20_000

type FileTask = Exclude<DecodeTask, { type: 'next' }>

export class DecodeThreads {
  readonly #options: DecodeOptions
  readonly #idle: DecodeWorker[] = []
  readonly #places: DecodePlaces

  constructor(options: DecodeOptions) {
    this.#options = options
    this.#places = new DecodePlaces(options)
  }

  /** Starts a thread before the first file needs it. */
  warm(): void {
    this.#giveBack(this.#take())
  }

  /**
   * The sound of a file, whose bytes move to the thread. It was read to its end, so that what is wrong with it is known. Throws what
   * `decodeFile` throws, `undecodable_audio` when a limit of time or memory is reached, `overloaded` when too many wait, and the signal's reason.
   */
  async decode(file: Uint8Array<ArrayBuffer>, limits: AudioLimits, signal: AbortSignal): Promise<ReadAudio> {
    const leave = await this.#places.enter(file.length, signal)
    const worker = this.#take()
    try {
      const { audio, bytes } = await worker.ask({ type: 'read', bytes: file, limits }, 'read', signal)
      const { seconds, warnings } = audio
      const pieces = bytes ? this.#stream({ type: 'open', bytes, limits }, signal) : given(audio.pieces ?? [])
      return { seconds, warnings, pieces }
    } finally {
      this.#giveBack(worker)
      leave()
    }
  }

  /** In a thread beyond those that files wait for, as long as it is heard. Until the first piece is asked for it has none. */
  async *#stream(file: FileTask, signal: AbortSignal): AsyncGenerator<Piece> {
    const worker = this.#take()
    try {
      for (let task: DecodeTask = file; ; task = { type: 'next' }) {
        const { piece } = await worker.ask(task, 'piece', signal)
        if (piece === null) return
        yield piece
      }
    } finally {
      this.#giveBack(worker)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((worker) => worker.end()))
  }

  /** One that ended by itself is passed over. */
  #take(): DecodeWorker {
    const worker = this.#idle.pop() ?? new DecodeWorker(this.#options.limitMs ?? LIMIT_MS)
    return worker.isIdle ? worker : this.#take()
  }

  /** One that was left at its work is ended with its file. */
  #giveBack(worker: DecodeWorker): void {
    if (worker.isIdle && this.#idle.length < this.#options.threads) this.#idle.push(worker)
    else void worker.end()
  }
}

/** Each is let go of as it is given. */
async function* given(pieces: Piece[]): AsyncGenerator<Piece> {
  for (let piece = pieces.shift(); piece; piece = pieces.shift()) yield piece
}
