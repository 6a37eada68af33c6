/**
 * An embedding model of Ollama's, kept in its memory beside the chat model. Ollama puts a model out when another one needs its place; a turn that
 * then asks for vectors waits seconds, and puts the chat model out in turn. So both are asked to stay, what was put out is brought back between
 * the turns, and when they do not fit together that is told instead of tried for ever.
 */
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import * as z from 'zod'
import type { Embedded, Embedder } from './embeddings.ts'
import { within } from './limit.ts'

export type OllamaEmbedderOptions = {
  /** Without a trailing slash. */
  readonly url: string
  readonly model: string
  /** The model that has to stay beside it; undefined when Ollama is not asked for replies. */
  readonly chatModel?: string | undefined
  /** For one answer. */
  readonly limitMs: number
  /** Loading a model may take long; no turn waits for it. */
  readonly loadMs: number
  readonly lookEveryMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
}

const Embeddings = z.object({ embeddings: z.array(z.array(z.number()).min(1)) })
const Models = z.object({ models: z.array(z.object({ name: z.string(), digest: z.string().default('') })) })

/** What keeps a model in memory for ever. */
const KEEP_ALIVE = -1
/** Put out that often, it does not fit beside the other one. */
const MOST_RELOADS = 3
const DIGEST_CHARS = 12

export class OllamaEmbedder implements Embedder {
  readonly #options: OllamaEmbedderOptions
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #digest: string | null = null
  #reloads = 0
  #state: 'idle' | 'loading' | 'ready' | 'failed' = 'idle'
  #error: string | null = null

  constructor(options: OllamaEmbedderOptions) {
    this.#options = options
  }

  get status(): ModelStatus {
    const times = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }
    const told = { state: this.#state, error: this.#error }
    return { id: `ollama/${this.#options.model}`, source: null, progress: null, ...times, warning: null, ...told }
  }

  /** Throws `stage_failed` when Ollama has no vectors to give in time; the signal's reason. */
  async embed(texts: readonly string[], signal: AbortSignal): Promise<Embedded> {
    const { model, limitMs } = this.#options
    try {
      return await within(limitMs, signal, async (limit) => {
        this.#digest ??= await this.#findDigest(limit)
        const body = { model, input: texts, truncate: true, keep_alive: KEEP_ALIVE }
        const { embeddings } = Embeddings.parse(await this.#ask('/api/embed', limit, body))
        if (embeddings.length !== texts.length)
          throw new Error(`expected ${texts.length} vectors, got ${embeddings.length}`)
        return { vectors: embeddings.map(unitLength), model: `ollama/${model}`, revision: this.#digest }
      })
    } catch (error) {
      signal.throwIfAborted()
      throw new AppError('stage_failed', 'memory: ollama gave no vectors', {
        cause: error,
        details: { stage: 'memory' },
      })
    }
  }

  /** Looks what is in Ollama's memory, brings back what is missing, and again and again from then on. Never throws. */
  async watch(): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    await this.#look(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#to('failed', `ollama does not answer (${reasonOf(error)})`)
    })
    if (!signal.aborted) this.#timer = setTimeout(() => void this.watch(), this.#options.lookEveryMs).unref()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { model, chatModel, limitMs, loadMs } = this.#options
    const digest = await within(limitMs, signal, (limit) => this.#findDigest(limit))
    if (digest === null) return this.#to('failed', `run \`ollama pull ${model}\``)
    this.#digest = digest
    if (await this.#isLoaded(model, signal)) return this.#to('ready')
    if (this.#state === 'ready') this.#reloads++
    if (this.#reloads >= MOST_RELOADS)
      return this.#to('failed', `it does not stay in ollama's memory beside ${chatModel}`)
    this.#to('loading')
    await within(loadMs, signal, (limit) => this.#ask('/api/embed', limit, { model, keep_alive: KEEP_ALIVE }))
    this.#to('ready')
    if (chatModel === undefined || (await this.#isLoaded(chatModel, signal))) return
    const chat = { model: chatModel, messages: [], keep_alive: KEEP_ALIVE }
    await within(loadMs, signal, (limit) => this.#ask('/api/chat', limit, chat))
  }

  async #isLoaded(model: string, signal: AbortSignal): Promise<boolean> {
    const { models } = await within(this.#options.limitMs, signal, async (limit) =>
      Models.parse(await this.#ask('/api/ps', limit)),
    )
    return models.some(({ name }) => name === tagged(model))
  }

  /** Of the model as Ollama has it now; null when it has none of that name. */
  async #findDigest(signal: AbortSignal): Promise<string | null> {
    const { models } = Models.parse(await this.#ask('/api/tags', signal))
    const found = models.find(({ name }) => name === tagged(this.#options.model))
    return found?.digest.slice(0, DIGEST_CHARS) ?? null
  }

  async #ask(path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    const json = body && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ stream: false, ...body }),
    }
    const response = await fetch(this.#options.url + path, { ...json, redirect: 'error', signal })
    if (response.ok) return response.json()
    await response.body?.cancel()
    throw new Error(`${path} answered ${response.status}`)
  }

  #to(state: 'loading' | 'ready' | 'failed', error: string | null = null): void {
    if (this.#state === state && this.#error === error) return
    this.#options.log[state === 'failed' ? 'warn' : 'info'](
      { model: `ollama/${this.#options.model}`, from: this.#state, to: state, ...(error !== null && { error }) },
      'embedding model state',
    )
    this.#state = state
    this.#error = error
  }
}

const tagged = (model: string): string => (model.includes(':') ? model : `${model}:latest`)

const reasonOf = (error: unknown): string => (error instanceof AppError ? error.message : 'it can not be reached')

function unitLength(values: readonly number[]): Float32Array {
  const vector = Float32Array.from(values)
  const length = Math.hypot(...vector)
  if (!(length > 0 && Number.isFinite(length))) throw new Error('expected a vector of finite numbers, not all zero')
  return vector.map((value) => value / length)
}
