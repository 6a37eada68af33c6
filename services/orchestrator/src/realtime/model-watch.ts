/** Which models are still coming, for clients that have opened a conversation already: asked of all services while anybody wants to know. */
import { setTimeout as pause } from 'node:timers/promises'
import { ReadyReport } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'
import { idleStatus, isServing } from '@hearth/shared/model-status'
import { within } from '../stages/limit.ts'

export type ModelWatchOptions = {
  /** Of this process. */
  readonly models: () => readonly ModelStatus[]
  /** Base addresses of the services with the others. */
  readonly services: readonly string[]
  readonly everyMs?: number
}

type Hear = (models: readonly ModelStatus[]) => void

const ASK_MS = 2000

export class ModelWatch {
  readonly #options: ModelWatchOptions
  readonly #listeners = new Set<Hear>()
  #isAsking = false

  constructor(options: ModelWatchOptions) {
    this.#options = options
  }

  /** `hear` is told at once and of each change until all models may be sent requests, or until `signal` aborts. */
  follow(hear: Hear, signal: AbortSignal): void {
    let told = ''
    const listener: Hear = (models) => {
      const text = JSON.stringify(models)
      if (text !== told) hear(models)
      told = text
      if (isReady(models)) this.#listeners.delete(listener)
    }
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
    if (!this.#isAsking) void this.#ask()
  }

  async #ask(): Promise<void> {
    this.#isAsking = true
    const { models, services, everyMs = 500 } = this.#options
    while (this.#listeners.size > 0) {
      const others = await Promise.all(services.map(statusesOf))
      const all = [...models(), ...others.flat()]
      for (const listener of this.#listeners) listener(all)
      if (this.#listeners.size > 0) await pause(everyMs, undefined, { ref: false })
    }
    this.#isAsking = false
  }
}

const isReady = (models: readonly ModelStatus[]): boolean => models.every(isServing)

/** A service that does not answer yet is one model of unknown name that is still to come. */
async function statusesOf(base: string): Promise<readonly ModelStatus[]> {
  const read = async (signal: AbortSignal) =>
    ReadyReport.parse(await (await fetch(`${base}/ready`, { signal })).json()).models
  return within(ASK_MS, AbortSignal.timeout(2 * ASK_MS), read).catch(() => [idleStatus(new URL(base).host)])
}
