/**
 * Several language models as one, in a set order. A model that fails before its first word hands over to the next; one that
 * fails later ends the reply with what was said, marked incomplete: another voice can't finish its sentence.
 */
import type { ModelStatus } from '@hearth/shared/api'
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Fallback, LanguageModel, LanguageModelEntry, Prompt, ReplyPiece, Usage } from './llm.ts'
import { isRefused } from './refused-prompt.ts'

export type Models = readonly [LanguageModelEntry, ...LanguageModelEntry[]]

export type ChainOptions = {
  /** Hears of each failure. */
  readonly onFailure: (model: string, error: AppError, hasSpoken: boolean) => void
  readonly now?: () => number
}

/** One that can say who would answer now. */
export type LanguageModelChain = LanguageModel & { readonly status: ModelStatus }

/** So often in a row the last one is asked although it is not usable; then it is left alone until it is. */
const MOST_FAILURES = 5

/**
 * The first that is usable answers; one that fails before it has said a word hands over to the next. The last is asked even if
 * it is not usable, until it has failed five times in a row. The last piece has `usage` and, when they apply, `fallbacks` and
 * `incomplete`. Throws `dependency_unavailable` when none can answer, `deadline_exceeded` when the last one did not in time, or
 * the signal's reason.
 */
export function firstOf(
  models: Models,
  { onFailure, now = () => performance.now() }: ChainOptions,
): LanguageModelChain {
  const final = models.at(-1) ?? models[0]
  const current = () => models.find((model) => model.isUsable()) ?? final
  let finalFailures = 0
  const isWorthAsking = (entry: LanguageModelEntry): boolean =>
    entry.isUsable() || (entry === final && finalFailures < MOST_FAILURES)
  return {
    get name() {
      return current().name
    },
    get status() {
      return current().status
    },
    ignores: (prompt) => current().ignores?.(prompt) ?? [],
    async *reply(prompt, signal) {
      const fallbacks: Fallback[] = []
      let last: AppError | undefined
      for (const entry of models) {
        if (!isWorthAsking(entry)) {
          fallbacks.push({ model: entry.name, code: 'dependency_unavailable' })
          continue
        }
        const attempt = new Attempt(entry, now)
        try {
          yield* attempt.pieces(prompt, signal)
          if (entry === final) finalFailures = 0
          yield attempt.summary(fallbacks)
          return
        } catch (error) {
          signal.throwIfAborted()
          last = toAppError(error)
          if (isRefused(last) && !attempt.hasSpoken && entry === final) throw last
          if (entry === final) finalFailures++
          onFailure(entry.name, last, attempt.hasSpoken)
          if (attempt.hasSpoken) {
            yield { ...attempt.summary(fallbacks), incomplete: true }
            return
          }
          fallbacks.push({ model: entry.name, code: last.code })
        }
      }
      const code = last?.code === 'deadline_exceeded' ? last.code : 'dependency_unavailable'
      throw new AppError(code, 'no language model can answer now', {
        cause: last,
        details: { stage: 'llm' },
        retryAfterMs: last?.retryAfterMs ?? 1000,
      })
    },
  }
}

/** One model's reply, and what it took. */
class Attempt {
  /** Words, or the wish that the client calls a function. */
  hasSpoken = false
  readonly #entry: LanguageModelEntry
  readonly #now: () => number
  #model: string
  #usage: Usage = {}
  #ending: Pick<ReplyPiece, 'isFull' | 'toolCalls'> = {}
  /** Waiting before the first word and after it; the reader's own time doesn't count. */
  #firstMs = 0
  #restMs = 0

  constructor(entry: LanguageModelEntry, now: () => number) {
    this.#entry = entry
    this.#model = entry.name
    this.#now = now
  }

  /** Without white space before the first word. Throws when there is none. */
  async *pieces(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPiece, void, void> {
    let since = this.#now()
    for await (const piece of this.#entry.reply(prompt, signal)) {
      if (this.hasSpoken) this.#restMs += this.#now() - since
      else this.#firstMs += this.#now() - since
      this.#model = piece.model
      this.#usage = { ...this.#usage, ...piece.usage }
      this.#ending = {
        ...this.#ending,
        ...(piece.isFull && { isFull: true }),
        ...(piece.toolCalls && { toolCalls: piece.toolCalls }),
      }
      if (piece.toolCalls) this.hasSpoken = true
      const text = this.hasSpoken ? piece.text : piece.text.trimStart()
      if (text !== '') {
        this.hasSpoken = true
        yield { text, model: piece.model }
      }
      since = this.#now()
    }
    if (!this.hasSpoken) throw new AppError('dependency_unavailable', 'expected a reply, got none')
  }

  summary(fallbacks: readonly Fallback[]): ReplyPiece {
    const { replyTokens = 0 } = this.#usage
    const { perTokenMs = replyTokens > 1 ? this.#restMs / (replyTokens - 1) : undefined } = this.#usage
    const usage = {
      ...this.#usage,
      firstTokenMs: tenths(this.#firstMs),
      ...(perTokenMs !== undefined && { perTokenMs: tenths(perTokenMs) }),
    }
    return { text: '', model: this.#model, usage, ...this.#ending, ...(fallbacks.length > 0 && { fallbacks }) }
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10
