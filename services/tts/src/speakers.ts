/**
 * Who speaks a request: Kokoro, or eSpeak NG when a request asks for it or as long as Kokoro can't be had. The one idea: while Kokoro is only on its
 * way, also after a crash, people wait for it; once it can't be loaded, they are spoken to at once and told by whom, until it is back.
 */
import type { ModelStatus } from '@hearth/shared/api'
import type { BatchResult } from '@hearth/shared/batcher'
import { AppError } from '@hearth/shared/errors'
import type { ServedModel } from '@hearth/shared/model-app'
import type { Speech, SpeechInput } from './speech.ts'

export type Speaker = ServedModel<SpeechInput, Speech>
/** The one that stands in, which is started only when it is needed. */
export type StandIn = Speaker & { start(): void }

/** The names under which a request asks for eSpeak NG. */
export const ESPEAK_NAMES: readonly string[] = ['espeak', 'espeak-ng']

export class Speakers implements Speaker {
  readonly #main: Speaker
  readonly #standIn: StandIn
  /** It could not be loaded, and is not back yet. */
  #hasFailed = false
  #wasReady = false

  constructor(main: Speaker, standIn: StandIn) {
    this.#main = main
    this.#standIn = standIn
  }

  /** The main one's; once it has failed, the stand-in's with the reason. Asking then also starts the stand-in, so that the service gets ready. */
  get status(): ModelStatus {
    const main = this.#look()
    if (!this.#hasFailed) return main
    this.#standIn.start()
    const standIn = this.#standIn.status
    if (standIn.state !== 'ready') return main
    return { ...standIn, warning: `${main.id} can't be used: ${standIn.id} speaks until it is back`, error: main.error }
  }

  /** Waits until somebody can speak. Rejects as `Model.ready` does, with `model_failed` only when both failed. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.choose(undefined, signal)
  }

  async submit(input: SpeechInput, signal: AbortSignal): Promise<BatchResult<Speech> & { model: string }> {
    const speaker = await this.choose(undefined, signal)
    return speaker.submit(input, signal)
  }

  /** Who speaks a request for the model `name`, once that one is ready; `main` is the main one as this request has leased it. */
  async choose(name: string | undefined, signal: AbortSignal, main = this.#main): Promise<Speaker> {
    const isAsked = name !== undefined && ESPEAK_NAMES.includes(name)
    if (!isAsked && (await this.#canSpeak(main, signal))) return main
    await this.#standIn.ready(signal)
    return this.#standIn
  }

  async #canSpeak(main: Speaker, signal: AbortSignal): Promise<boolean> {
    this.#look()
    if (this.#hasFailed) return false
    try {
      await main.ready(signal)
      return true
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'model_failed')) throw error
      this.#hasFailed = true
      return false
    }
  }

  #look(): ModelStatus {
    const { status } = this.#main
    // A crash is mended by loading again, which is worth the wait unless it fails again and again.
    if (status.state === 'failed' && !this.#wasReady) this.#hasFailed = true
    if (status.state === 'ready') [this.#hasFailed, this.#wasReady] = [false, true]
    return status
  }
}
