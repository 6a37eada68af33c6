/**
 * Ollama as a language model, by its own client. The client has no time limits, prints broken lines of a stream and goes on;
 * here every wait ends, and a broken stream is an error. Whether Ollama is there is looked up in the background, never in a turn.
 */
import type { ModelState, ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Ollama } from 'ollama'
import type { ChatResponse, Message as OllamaMessage } from 'ollama'
import * as z from 'zod'
import type { LanguageModelEntry, Prompt, ReplyPiece, Sampling, ToolCall, ToolSpec, Usage } from './llm.ts'
import { within } from './limit.ts'
import { createCheckedFetch } from './ollama-fetch.ts'
import { fencedMessages } from './prompt.ts'
import type { Message } from './prompt.ts'
import { isRefused } from './refused-prompt.ts'
import { limitWaits } from './stall-limit.ts'
import type { LimitedWait, StallLimits } from './stall-limit.ts'
import { withoutThinking } from './thinking.ts'
import { endingOf, newCallId, toldMessages, toolRounds, withEnd } from './tool-rounds.ts'
import type { Answer, AnswerWords } from './tool-rounds.ts'
import { TOOL_LIMITS, toolSpecs } from './tools.ts'
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

type Asked = { readonly prompt: Prompt; readonly messages: readonly Message[]; readonly tools: readonly ToolSpec[] }

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

  readonly ignores = ({ toolChoice = 'auto' }: Pick<Prompt, 'toolChoice'>): string[] =>
    toolChoice === 'auto' || toolChoice === 'none' ? [] : ['tool_choice']

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

  /**
   * Throws `dependency_unavailable`, `deadline_exceeded`, `invalid_request` for a prompt that Ollama refuses, or the signal's reason. The last piece
   * has the counts.
   */
  async *reply(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPiece, void, void> {
    const end: { answer?: Answer } = {}
    await this.#requirePresence(signal)
    try {
      const words = this.#chat(prompt, signal)
      for await (const text of withoutThinking(withEnd(words, end))) yield { text, model: this.name }
    } catch (error) {
      signal.throwIfAborted()
      if (isRefused(error)) throw error
      this.#to('failed')
      throw asUnavailable(error)
    }
    yield { text: '', model: this.name, ...endingOf(end.answer) }
  }

  /** Who asks an Ollama that was not there gets its answer within the short limit of a look, not within that of a reply. */
  async #requirePresence(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'absent' || (await this.#look(signal)) !== 'absent') return
    signal.throwIfAborted()
    throw unavailable('it is not there')
  }

  #chat(prompt: Prompt, signal: AbortSignal): AnswerWords {
    const wait = limitWaits(this.#options, signal)
    const messages = fencedMessages(prompt)
    const answer = (tools: readonly ToolSpec[]) => this.#answer({ prompt, messages, tools }, wait, signal)
    return toolRounds(prompt, this.#options.tools ?? [], answer, (told) => messages.push(...toldMessages(told)))
  }

  /** One answer: words, and the tools that the model wants called before it goes on. */
  async *#answer({ prompt, messages, tools }: Asked, wait: LimitedWait, signal: AbortSignal): AnswerWords {
    const stop = new AbortController()
    const client = this.#client(AbortSignal.any([signal, stop.signal]))
    const options = {
      num_predict: prompt.maxTokens ?? this.#options.maxTokens,
      ...(prompt.temperature !== undefined && { temperature: prompt.temperature }),
      ...(prompt.sampling && samplingOptions(prompt.sampling)),
    }
    const json = prompt.sampling?.json
    const format = json !== undefined && { format: json === true ? 'json' : json.schema }
    const fixed = { model: this.#options.model, stream: true, think: false, keep_alive: KEEP_ALIVE } as const
    const offer = tools.length > 0 && { tools: toolSpecs(tools) }
    const calls: ToolCall[] = []
    try {
      const chat = { ...fixed, messages: messages.map(asOllama), options, ...offer, ...format }
      const parts = (await wait(() => client.chat(chat)))[Symbol.asyncIterator]()
      for (;;) {
        const { done, value } = await wait(() => parts.next())
        if (done) return { calls, usage: {} }
        if (offer) calls.push(...callsOf(value.message).slice(0, TOOL_LIMITS.calls - calls.length))
        if (value.message.content !== '') yield value.message.content
        if (value.done) return { calls, usage: asUsage(value), isFull: value.done_reason === 'length' }
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

/** Ollama gives calls no ids, and takes results in the order of the calls. */
const callsOf = ({ tool_calls: calls = [] }: OllamaMessage): ToolCall[] =>
  calls.map(({ function: { name, arguments: args } }) => ({ id: newCallId(), name, args: JSON.stringify(args) }))

function asOllama(message: Message): OllamaMessage {
  const { content } = message
  if (message.role === 'tool') return { role: 'tool', tool_name: message.call.name, content }
  if (message.role !== 'assistant' || !message.calls) return { role: message.role, content }
  const calls = message.calls.map(({ name, args }) => ({ function: { name, arguments: asObject(args) } }))
  return { role: 'assistant', content, tool_calls: calls }
}

/** A model may have written anything; a client may send anything back. */
function asObject(json: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(json || '{}'))
  } catch {
    return {}
  }
}

const unavailable = (why: string, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `ollama can't answer (${why})`, { cause, retryAfterMs: 1000 })

const samplingOptions = ({ topP, stop, seed, presencePenalty, frequencyPenalty }: Sampling) => ({
  ...(topP !== undefined && { top_p: topP }),
  ...(stop && { stop: [...stop] }),
  ...(seed !== undefined && { seed }),
  ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
  ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
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
