/** One decoding thread, from the side that serves: it is asked, and answers in time or is not to be asked again. */
import { Worker } from 'node:worker_threads'
import { AppError } from '@hearth/shared/errors'
import { orAborted } from '@hearth/shared/waits'
import type { DecodeMessage, DecodeTask } from './decode-thread.ts'

type Answer<Type> = Extract<DecodeMessage, { type: Type }>

const MS_PER_SECOND = 50
/** Of JavaScript's memory: what files hold is on top, and is bounded by their size and the limits. */
const MAX_MEMORY_MB = 256
/** Of what was just made. It decides how often sound that is done with is let go: with the default a hundred megabytes of it pile up. */
const YOUNG_MEMORY_MB = 4

export class DecodeWorker {
  readonly #worker: Worker
  readonly #limitMs: number
  /** Whether it may be given another file. */
  isIdle = true

  /** `limitMs`: for an answer, from which on a second of sound may take a twentieth of a second. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
    this.#worker = new Worker(new URL('./decode-thread.ts', import.meta.url), {
      name: 'decode',
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB, maxYoungGenerationSizeMb: YOUNG_MEMORY_MB },
    })
    // Dropped: libraries write to the console what they find in a file.
    this.#worker.stdout.resume()
    this.#worker.stderr.resume()
    this.#worker.on('error', () => undefined) // whoever waits for it hears of it too
    this.#worker.on('exit', () => (this.isIdle = false))
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  /**
   * The bytes of a file move to it, with all of the memory that they are in. Throws what the file is refused for, after which it is idle again; `undecodable_audio` when a limit of time
   * or memory is reached, and the signal's reason.
   */
  async ask<Type extends 'read' | 'piece'>(
    task: DecodeTask,
    expected: Type,
    signal: AbortSignal,
  ): Promise<Answer<Type>> {
    this.isIdle = false
    const answer = await this.#answer(task, signal)
    this.isIdle = answer.type !== 'piece' || answer.piece === null
    if (answer.type === 'refused')
      throw new AppError(answer.code, answer.message, answer.param === null ? {} : { param: answer.param })
    if (isOf(answer, expected)) return answer
    throw new Error(`expected ${expected} from the decoding thread, got ${answer.type}: this is a bug`)
  }

  async #answer(task: DecodeTask, signal: AbortSignal): Promise<Exclude<DecodeMessage, Answer<'progress'>>> {
    const [worker, limitMs] = [this.#worker, this.#limitMs]
    const { promise, resolve, reject } = Promise.withResolvers<Exclude<DecodeMessage, Answer<'progress'>>>()
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
    worker.postMessage(task, task.type === 'next' ? [] : [task.bytes.buffer])
    try {
      return await orAborted(promise, signal)
    } finally {
      clearTimeout(timer)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
    }
  }
}

const isOf = <Type extends string>(message: DecodeMessage, type: Type): message is Answer<Type> => message.type === type
const undecodable = (message: string, cause?: unknown) =>
  new AppError('undecodable_audio', message, { param: 'file', cause })
