/**
 * The decoding threads, from the side that serves: a file goes to a free one, and a thread that takes too long or too much memory is ended
 * with its file. The next file gets a new one.
 */
import { Worker } from 'node:worker_threads'
import { AppError } from '@hearth/shared/errors'
import { orAborted } from '@hearth/shared/waits'
import type { DecodeMessage, DecodeTask } from './decode-thread.ts'
import type { ReadAudio } from './read-audio.ts'
import type { AudioLimits } from './samples-writer.ts'

export type DecodeOptions = {
  /** Files that are decoded at the same time. */
  readonly threads: number
  /** Files that may wait; more are refused. */
  readonly maxWaiting?: number
  /** Longest time for the first seconds of sound; after that a second of sound may take a twentieth of a second. */
  readonly limitMs?: number
}

const LIMIT_MS = 20_000
const MS_PER_SECOND = 50
/** Of JavaScript's memory: what files hold is on top, and is bounded by their size and the limits. */
const MAX_MEMORY_MB = 256

export class DecodeThreads {
  readonly #options: DecodeOptions
  readonly #idle: Worker[] = []
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(options: DecodeOptions) {
    this.#options = options
  }

  /** Starts a thread before the first file needs it. */
  warm(): void {
    this.#idle.push(this.#start())
  }

  /**
   * The sound of a file, whose bytes move to the thread. Throws what `readAudio` throws, `undecodable_audio` when a limit of time or memory
   * is reached, `overloaded` when too many wait, and the signal's reason.
   */
  async decode(bytes: Uint8Array<ArrayBuffer>, limits: AudioLimits, signal: AbortSignal): Promise<ReadAudio> {
    await this.#take(signal)
    const worker = this.#idle.pop() ?? this.#start()
    let isHealthy = false
    try {
      const result = await this.#run(worker, { bytes, limits }, signal)
      isHealthy = true
      if (result.type === 'done') return result.audio
      throw new AppError(result.code, result.message, result.param === null ? {} : { param: result.param })
    } finally {
      if (isHealthy) this.#idle.push(worker)
      else void worker.terminate()
      this.#leave()
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((worker) => worker.terminate()))
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { threads, maxWaiting = 64 } = this.#options
    if (this.#busy < threads) {
      this.#busy++
      return
    }
    if (this.#waiting.length >= maxWaiting)
      throw new AppError('overloaded', `${maxWaiting} files wait to be decoded`, { retryAfterMs: 1000 })
    const turn = Promise.withResolvers<void>()
    this.#waiting.push(turn.resolve)
    await orAborted(turn.promise, signal).catch((error: unknown) => {
      const at = this.#waiting.indexOf(turn.resolve)
      if (at === -1) this.#leave()
      else this.#waiting.splice(at, 1)
      throw error
    })
  }

  /** Hands the place to the next in line. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#busy--
  }

  /** Its output is dropped: libraries write to the console what they find in a file. */
  #start(): Worker {
    const worker = new Worker(new URL('./decode-thread.ts', import.meta.url), {
      name: 'decode',
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    })
    worker.stdout.resume()
    worker.stderr.resume()
    worker.on('error', () => undefined) // whoever waits for it hears of it too
    worker.on('exit', () => {
      const at = this.#idle.indexOf(worker)
      if (at !== -1) this.#idle.splice(at, 1)
    })
    return worker
  }

  async #run(worker: Worker, task: DecodeTask, signal: AbortSignal) {
    const { limitMs = LIMIT_MS } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<Exclude<DecodeMessage, { type: 'progress' }>>()
    const startedAt = performance.now()
    const tooSlow = () => reject(undecodable('the file takes too long to decode'))
    let timer = setTimeout(tooSlow, limitMs)
    const onMessage = (message: DecodeMessage) => {
      if (message.type !== 'progress') return resolve(message)
      clearTimeout(timer)
      const leftMs = startedAt + limitMs + message.seconds * MS_PER_SECOND - performance.now()
      timer = setTimeout(tooSlow, Math.max(0, leftMs))
    }
    const onError = (cause: Error) => reject(undecodable('the decoder gave up on the file', cause))
    const onExit = () => reject(undecodable('the decoder ended with the file'))
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    worker.postMessage(task, movable(task.bytes))
    try {
      return await orAborted(promise, signal)
    } finally {
      clearTimeout(timer)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
    }
  }
}

const undecodable = (message: string, cause?: unknown) =>
  new AppError('undecodable_audio', message, { param: 'file', cause })
/** Bytes that own their buffer move; others are copied. */
const movable = (bytes: Uint8Array<ArrayBuffer>): ArrayBuffer[] =>
  bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer] : []
