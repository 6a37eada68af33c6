/**
 * Any OpenAI-compatible server as a language model: `POST {url}/chat/completions` with `stream`. Every wait ends, and a stream
 * that is cut, has garbage in it or tells of an error is an error. Such servers have no common way to ask how they are, so
 * one that has failed is simply left alone for a while.
 */
import type { ModelStatus } from '@hearth/shared/api'
import type { Secret } from '@hearth/shared/config'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { fetchAgain } from './fetch-again.ts'
import type { LanguageModelEntry, Prompt, ReplyPiece, Sampling, ToolSpec, Usage } from './llm.ts'
import { addCall, readChunk, unavailable } from './openai-chunk.ts'
import type { GrowingCall } from './openai-chunk.ts'
import { fencedMessages } from './prompt.ts'
import type { Message } from './prompt.ts'
import { sseData } from './sse-data.ts'
import { isRefused, requireTaken } from './refused-prompt.ts'
import { limitWaits } from './stall-limit.ts'
import type { LimitedWait, StallLimits } from './stall-limit.ts'
import { withoutThinking } from './thinking.ts'
import { endingOf, toldMessages, toolRounds, withEnd, withId } from './tool-rounds.ts'
import type { Answer, AnswerWords } from './tool-rounds.ts'
import { toolCallBody, toolSpecs } from './tools.ts'
import type { Tool } from './tools.ts'

export type OpenAiChatOptions = StallLimits & {
  /** With the version and without a trailing slash: `http://127.0.0.1:8000/v1`. */
  readonly url: string
  readonly model: string
  readonly apiKey?: Secret | undefined
  readonly maxTokens: number
  /** Run here when the model calls them; for servers and models that know tools. */
  readonly tools?: readonly Tool[] | undefined
  /** How long it is left alone after a failure, as long as another model can answer; longer if it asks for that. */
  readonly restMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Told when it is left alone, and when it answers again. */
  readonly onChange?: (isUsable: boolean) => void
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}

type Asked = { readonly prompt: Prompt; readonly messages: readonly Message[]; readonly tools: readonly ToolSpec[] }

/** The counts come after the last word; nobody waits for them longer than this. */
const USAGE_WAIT_MS = 500
/** Nobody is left alone for longer, whatever is asked for. */
const LONGEST_REST_MS = 600_000

export class OpenAiChat implements LanguageModelEntry {
  readonly name: string
  readonly #options: OpenAiChatOptions
  readonly #now: () => number
  #failure: { readonly at: number; readonly error: AppError } | null = null

  constructor(options: OpenAiChatOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.name = `openai/${options.model}`
  }

  readonly isUsable = (): boolean =>
    this.#failure === null ||
    this.#now() - this.#failure.at >= Math.max(this.#options.restMs, this.#failure.error.retryAfterMs ?? 0)

  /** It counts as ready until a reply has failed. */
  get status(): ModelStatus {
    const times = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }
    const state = this.isUsable() ? 'ready' : 'failed'
    const error = this.isUsable() ? null : (this.#failure?.error.message ?? null)
    return { id: this.name, source: null, state, progress: null, ...times, warning: null, error }
  }

  /**
   * Throws `dependency_unavailable`, `deadline_exceeded`, `invalid_request` for a prompt that the server refuses, or the signal's reason. The last
   * piece has the counts, if they came.
   */
  async *reply(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPiece, void, void> {
    const end: { answer?: Answer } = {}
    try {
      const words = this.#chat(prompt, signal)
      for await (const text of withoutThinking(withEnd(words, end))) yield { text, model: this.name }
    } catch (error) {
      signal.throwIfAborted()
      throw isRefused(error) ? error : this.#failed(error)
    }
    this.#recovered()
    yield { text: '', model: this.name, ...endingOf(end.answer) }
  }

  #chat(prompt: Prompt, signal: AbortSignal): AnswerWords {
    const wait = limitWaits(this.#options, signal)
    const messages = fencedMessages(prompt)
    const answer = (tools: readonly ToolSpec[]) => this.#answer({ prompt, messages, tools }, wait, signal)
    return toolRounds(prompt, this.#options.tools ?? [], answer, (told) => messages.push(...toldMessages(told)))
  }

  /** One answer of the server: words, and the tools that it wants called before it goes on. */
  async *#answer(asked: Asked, wait: LimitedWait, signal: AbortSignal): AnswerWords {
    const stop = new AbortController()
    const calls: GrowingCall[] = []
    let usage: Usage = {}
    let isFinished = false
    let isFull = false
    try {
      const bytes = await wait(() => this.#post(asked, AbortSignal.any([signal, stop.signal])))
      const events = sseData(bytes)
      for (;;) {
        const { done, value } = await wait(() => events.next(), isFinished ? USAGE_WAIT_MS : undefined)
        if (done && !isFinished) throw unavailable('its stream was cut')
        if (done || value === '[DONE]') break
        const { text, deltas, ...chunk } = readChunk(value)
        isFinished ||= chunk.isFinished
        isFull ||= chunk.isFull
        usage = { ...usage, ...chunk.usage }
        if (asked.tools.length > 0) for (const delta of deltas) addCall(calls, delta)
        if (text !== '') yield text
      }
    } catch (error) {
      // All words are there; only the counts and the closing mark are not.
      if (!isFinished || signal.aborted) throw error
    } finally {
      stop.abort()
    }
    return { calls: calls.filter(Boolean).map(withId), usage, isFull }
  }

  async #post({ prompt, messages, tools }: Asked, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { url, model, apiKey, maxTokens } = this.#options
    const response = await fetchAgain(`${url}/chat/completions`, {
      method: 'POST',
      redirect: 'error',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(apiKey && { authorization: `Bearer ${apiKey.reveal()}` }),
      },
      body: JSON.stringify({
        model,
        messages: messages.map(asOpenAi),
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: prompt.maxTokens ?? maxTokens,
        ...(prompt.temperature !== undefined && { temperature: prompt.temperature }),
        ...(prompt.sampling && samplingFields(prompt.sampling)),
        ...(tools.length > 0 && { tools: toolSpecs(tools), tool_choice: choiceField(prompt) }),
      }),
      signal,
    })
    if (response.ok && response.body) return response.body
    await response.body?.cancel()
    requireTaken(response.status)
    throw unavailable(`it answered ${response.status}`, this.#retryAfterMs(response.headers))
  }

  /** Seconds, or a date (RFC 9110, section 10.2.3). */
  #retryAfterMs(headers: Headers): number | undefined {
    const given = headers.get('retry-after') ?? ''
    const { wallClock = Date.now } = this.#options
    const ms = /^\d+$/.test(given) ? Number(given) * 1000 : Date.parse(given) - wallClock()
    return ms >= 0 ? Math.min(ms, LONGEST_REST_MS) : undefined
  }

  #failed(cause: unknown): AppError {
    const error = cause instanceof AppError ? cause : unavailable("it can't be reached", undefined, cause)
    const isNew = this.#failure === null
    this.#failure = { at: this.#now(), error }
    if (isNew) this.#options.log.warn({ model: this.name, err: error }, 'the language model is left alone for a while')
    if (isNew) this.#options.onChange?.(false)
    return error
  }

  #recovered(): void {
    if (this.#failure === null) return
    this.#failure = null
    this.#options.log.info({ model: this.name }, 'the language model answers again')
    this.#options.onChange?.(true)
  }
}

function asOpenAi(message: Message): object {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.call.id, content: message.content }
  if (message.role !== 'assistant' || !message.calls) return { role: message.role, content: message.content }
  return { role: 'assistant', content: message.content || null, tool_calls: message.calls.map(toolCallBody) }
}

function choiceField({ tools = [], toolChoice = 'auto' }: Prompt): unknown {
  // Tools of Hearth's are never a must.
  if (tools.length === 0) return 'auto'
  return typeof toolChoice === 'object' ? { type: 'function', function: toolChoice } : toolChoice
}

function samplingFields({ topP, stop, seed, presencePenalty, frequencyPenalty, json }: Sampling): object {
  const format = json === true ? { type: 'json_object' } : { type: 'json_schema', json_schema: json }
  return {
    top_p: topP,
    stop,
    seed,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    ...(json !== undefined && { response_format: format }),
  }
}
