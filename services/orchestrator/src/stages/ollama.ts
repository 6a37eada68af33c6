/**
 * Ollama as a language model, by its own client. The client has no time limits, prints broken lines of a stream and goes on;
 * here every wait ends, and a broken stream is an error. Whether Ollama is there is looked up in the background, never in a turn.
 */
import type { ModelState, ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Ollama } from 'ollama'
import type { ChatResponse, Message, ToolCall as OllamaCall } from 'ollama'
import * as z from 'zod'
import type { LanguageModelEntry, Prompt, ReplyPiece, Usage } from './llm.ts'
import { within } from './limit.ts'
import { createCheckedFetch } from './ollama-fetch.ts'
import { fencedMessages } from './prompt.ts'
import { limitWaits } from './stall-limit.ts'
import type { LimitedWait, StallLimits } from './stall-limit.ts'
import { withoutThinking } from './thinking.ts'
import { toolRounds } from './tool-rounds.ts'
import { runTool, TOOL_LIMITS, toolSpecs } from './tools.ts'
import type { Tool } from './tools.ts'

export type OllamaOptions = StallLimits & {
  readonly url: string
  readonly model: string
  /** The system text of the prompts to come: it is read once before the first turn, so that the first turn doesn't. */
  readonly instructions?: string
  readonly probeMs: number
  readonly probeEveryMs: number
  /** Loading the model into memory may take long; the reply to a turn doesn't wait for it beyond `stallMs`. */
  readonly loadMs: number
  readonly maxTokens: number
  /** Run here when the model calls them; for models that know tools. */
  readonly tools?: readonly Tool[] | undefined
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Told when Ollama becomes usable, or stops being so; first after the first look. */
  readonly onChange?: (isUsable: boolean) => void
}

type State = 'unknown' | 'absent' | 'no model' | 'loading' | 'ready' | 'failed'

type Asked = { readonly prompt: Prompt; readonly messages: readonly Message[]; readonly tools: readonly Tool[] }
type Answer = { readonly calls: readonly OllamaCall[]; readonly usage: Usage }

const STATES = {
  unknown: 'idle',
  absent: 'failed',
  'no model': 'failed',
  loading: 'loading',
  ready: 'ready',
  failed: 'failed',
} as const satisfies Record<State, ModelState>

/** What keeps the model in memory for ever. */
const KEEP_ALIVE = -1
const NANOSECONDS_PER_MS = 1e6

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

  get status(): ModelStatus {
    const times = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }
    const error = this.isUsable() || this.#state === 'unknown' ? null : `ollama is ${this.#state}`
    return { id: this.name, source: null, state: STATES[this.#state], progress: null, ...times, warning: null, error }
  }

  /** Looks whether Ollama has the model, and again and again from then on. Resolves after the first look; never throws. */
  async watch(): Promise<void> {
    const state = await this.#look()
    if (this.#closing.signal.aborted) return
    clearTimeout(this.#timer)
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

  /** Throws `dependency_unavailable`, `deadline_exceeded`, or the signal's reason. The last piece has the counts. */
  async *reply(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPiece, void, void> {
    let usage: Usage = {}
    await this.#requirePresence(signal)
    try {
      const texts = this.#chat(prompt, signal, (counts) => (usage = counts))
      for await (const text of withoutThinking(texts)) yield { text, model: this.name }
    } catch (error) {
      signal.throwIfAborted()
      this.#to('failed')
      throw asUnavailable(error)
    }
    yield { text: '', model: this.name, usage }
  }

  /** Who asks an Ollama that was not there gets its answer within the short limit of a look, not within that of a reply. */
  async #requirePresence(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'absent' || (await this.#look(signal)) !== 'absent') return
    signal.throwIfAborted()
    throw unavailable('it is not there')
  }

  #chat(prompt: Prompt, signal: AbortSignal, onUsage: (usage: Usage) => void): AsyncGenerator<string, void, void> {
    const wait = limitWaits(this.#options, signal)
    const { tools = [] } = this.#options
    const messages: Message[] = fencedMessages(prompt)
    const answer = (offered: readonly Tool[]) => this.#answer({ prompt, messages, tools: offered }, wait, signal)
    const tell = (calls: Answer['calls']) => {
      messages.push({ role: 'assistant', content: '', tool_calls: [...calls] })
      messages.push(...calls.map((call) => resultMessage(call, tools)))
    }
    return toolRounds(tools, answer, tell, onUsage)
  }

  /** One answer: words, and the tools that the model wants called before it goes on. */
  async *#answer(
    { prompt, messages, tools }: Asked,
    wait: LimitedWait,
    signal: AbortSignal,
  ): AsyncGenerator<string, Answer, void> {
    const stop = new AbortController()
    const client = this.#client(AbortSignal.any([signal, stop.signal]))
    const options = {
      num_predict: prompt.maxTokens ?? this.#options.maxTokens,
      ...(prompt.temperature !== undefined && { temperature: prompt.temperature }),
    }
    const fixed = { model: this.#options.model, stream: true, think: false, keep_alive: KEEP_ALIVE } as const
    const offer = tools.length > 0 && { tools: toolSpecs(tools) }
    const calls: OllamaCall[] = []
    try {
      const chat = { ...fixed, messages: [...messages], options, ...offer }
      const parts = (await wait(() => client.chat(chat)))[Symbol.asyncIterator]()
      for (;;) {
        const { done, value } = await wait(() => parts.next())
        if (done) return { calls, usage: {} }
        if (offer) calls.push(...(value.message.tool_calls ?? []).slice(0, TOOL_LIMITS.calls - calls.length))
        if (value.message.content !== '') yield value.message.content
        if (value.done) return { calls, usage: asUsage(value) }
      }
    } finally {
      stop.abort()
    }
  }

  async #look(signal = this.#closing.signal): Promise<State> {
    const { probeMs, model } = this.#options
    try {
      const { models } = await within(probeMs, signal, (limit) => this.#client(limit).list())
      const wanted = model.includes(':') ? model : `${model}:latest`
      return models.some(({ name }) => name === wanted) ? 'ready' : 'no model'
    } catch {
      return 'absent'
    }
  }

  /** A chat without messages loads the model, and one with the system text alone has that read, so that the first turn waits for neither. */
  async #preload(): Promise<void> {
    const { model, loadMs, instructions } = this.#options
    this.#isPreloading = true
    try {
      await within(loadMs, this.#closing.signal, async (limit) => {
        const client = this.#client(limit)
        await client.chat({ model, messages: [], keep_alive: KEEP_ALIVE })
        if (instructions === undefined) return
        const messages = [{ role: 'system', content: instructions }]
        await client.chat({ model, messages, options: { num_predict: 1 }, think: false, keep_alive: KEEP_ALIVE })
      })
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
  const isError = error instanceof Error && error.name === 'ResponseError'
  return unavailable(isError ? 'it answered with an error' : 'it does not answer', error)
}

const unavailable = (why: string, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `ollama can't answer (${why})`, { cause, retryAfterMs: 1000 })

const resultMessage = ({ function: { name, arguments: args } }: OllamaCall, tools: readonly Tool[]): Message => ({
  role: 'tool',
  tool_name: name,
  content: runTool(tools, { name, args }),
})

/** Newer servers also tell how much of the prompt they still knew. */
const Counts = z.object({
  prompt_eval_count: z.number().optional(),
  prompt_eval_cached_count: z.number().optional(),
  eval_count: z.number().optional(),
  /** Nanoseconds. */
  eval_duration: z.number().optional(),
})

function asUsage(last: ChatResponse): Usage {
  const counts = Counts.safeParse(last).data
  const {
    prompt_eval_count: prompt,
    prompt_eval_cached_count: cached,
    eval_count: reply,
    eval_duration: ns,
  } = counts ?? {}
  return {
    ...(prompt !== undefined && { promptTokens: prompt }),
    ...(cached !== undefined && { cachedPromptTokens: cached }),
    ...(reply !== undefined && { replyTokens: reply }),
    ...(reply !== undefined && reply > 0 && ns !== undefined && { perTokenMs: ns / reply / NANOSECONDS_PER_MS }),
  }
}
