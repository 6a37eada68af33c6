/**
 * Ollama as a language model, by its own client. The client has no time limits, prints broken lines of a stream and goes on;
 * here every wait ends, and a broken stream is an error. Whether Ollama is there is looked up in the background, never in a turn.
 */
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Ollama } from 'ollama'
import type { LanguageModelEntry, Prompt } from './llm.ts'
import { within } from './limit.ts'
import { createCheckedFetch } from './ollama-fetch.ts'
import { fencedMessages } from './prompt.ts'
import { withoutThinking } from './thinking.ts'

export type OllamaOptions = {
  readonly url: string
  readonly model: string
  /** Longest wait for a piece of a reply, and for all of them together; time that the reader takes doesn't count. */
  readonly stallMs: number
  readonly totalMs: number
  readonly probeMs: number
  readonly probeEveryMs: number
  /** Loading the model into memory may take long; the reply to a turn doesn't wait for it beyond `stallMs`. */
  readonly loadMs: number
  readonly maxTokens: number
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Told when Ollama becomes usable, or stops being so; first after the first look. */
  readonly onChange?: (isUsable: boolean) => void
  readonly now?: () => number
}

type State = 'unknown' | 'absent' | 'no model' | 'loading' | 'ready' | 'failed'

/** What keeps the model in memory for ever. */
const KEEP_ALIVE = -1

export class OllamaModel implements LanguageModelEntry {
  readonly name: string
  readonly #options: OllamaOptions
  readonly #closing = new AbortController()
  #state: State = 'unknown'
  #isPreloading = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: OllamaOptions) {
    this.#options = options
    this.name = `ollama/${options.model}`
  }

  readonly isUsable = (): boolean => this.#state === 'ready' || this.#state === 'loading'

  /** For `/ready`; null while Ollama does not answer or lacks the model. */
  get status(): ModelStatus | null {
    if (!this.isUsable()) return null
    const times = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }
    const state = this.#state === 'ready' ? 'ready' : 'loading'
    return { id: this.name, source: null, state, progress: null, ...times, warning: null, error: null }
  }

  /** Looks whether Ollama has the model, and again and again from then on. Resolves after the first look; never throws. */
  async watch(): Promise<void> {
    const state = await this.#look()
    if (this.#closing.signal.aborted) return
    this.#timer = setTimeout(() => void this.watch(), this.#options.probeEveryMs).unref()
    if (state !== 'ready') return this.#to(state)
    if (this.#state === 'ready' || this.#isPreloading) return
    // After a failure it is asked for replies again only once it has proved itself.
    if (this.#state !== 'failed') this.#to('loading')
    void this.#preload()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#closing.abort()
  }

  async *reply(prompt: Prompt, signal: AbortSignal) {
    try {
      for await (const text of withoutThinking(this.#chat(prompt, signal))) yield { text, model: this.name }
    } catch (error) {
      signal.throwIfAborted()
      this.#to('failed')
      throw asUnavailable(error)
    }
  }

  async *#chat(prompt: Prompt, signal: AbortSignal): AsyncGenerator<string, void, void> {
    const { model, stallMs, totalMs, now = () => performance.now() } = this.#options
    const stop = new AbortController()
    const client = this.#client(AbortSignal.any([signal, stop.signal]))
    const options = { num_predict: prompt.maxTokens ?? this.#options.maxTokens }
    const messages = fencedMessages(prompt)
    let leftMs = totalMs
    const wait = async <T>(work: () => Promise<T>): Promise<T> => {
      const start = now()
      const result = await within(Math.min(stallMs, leftMs), signal, work)
      leftMs = Math.max(1, leftMs - (now() - start))
      return result
    }
    try {
      const chat = { model, messages, options, stream: true, think: false, keep_alive: KEEP_ALIVE } as const
      const parts = (await wait(() => client.chat(chat)))[Symbol.asyncIterator]()
      for (;;) {
        const { done, value } = await wait(() => parts.next())
        if (done) return
        if (value.message.content !== '') yield value.message.content
      }
    } finally {
      stop.abort()
    }
  }

  async #look(): Promise<State> {
    const { probeMs, model } = this.#options
    const { signal } = this.#closing
    try {
      const { models } = await within(probeMs, signal, (limit) => this.#client(limit).list())
      const wanted = model.includes(':') ? model : `${model}:latest`
      return models.some(({ name }) => name === wanted) ? 'ready' : 'no model'
    } catch {
      return 'absent'
    }
  }

  /** A chat without messages loads the model, so that the first turn doesn't. */
  async #preload(): Promise<void> {
    const { model, loadMs } = this.#options
    this.#isPreloading = true
    try {
      const load = { model, messages: [], keep_alive: KEEP_ALIVE }
      await within(loadMs, this.#closing.signal, (limit) => this.#client(limit).chat(load))
      this.#to('ready')
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#to('failed', error)
    } finally {
      this.#isPreloading = false
    }
  }

  #client(signal: AbortSignal): Ollama {
    return new Ollama({ host: this.#options.url, fetch: createCheckedFetch(signal) })
  }

  #to(state: State, err?: unknown): void {
    if (this.#state === state) return
    const change = { model: this.name, from: this.#state, to: state, ...(err !== undefined && { err }) }
    this.#state = state
    const hint = state === 'no model' ? `: run \`ollama pull ${this.#options.model}\`` : ''
    this.#options.log[state === 'no model' || state === 'failed' ? 'warn' : 'info'](change, `ollama is ${state}${hint}`)
    this.#options.onChange?.(this.isUsable())
  }
}

function asUnavailable(error: unknown): AppError {
  if (error instanceof AppError) return error
  const why = error instanceof Error && error.name === 'ResponseError' ? ' (it answered with an error)' : ''
  return new AppError('dependency_unavailable', `ollama can't answer${why}`, { cause: error, retryAfterMs: 1000 })
}
