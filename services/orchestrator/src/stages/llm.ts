/** The mind: what the user said and what is known goes in, a reply comes out piece by piece. */
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Exchange } from '../turn-events.ts'
import { stageFailed } from './service.ts'

export type Prompt = {
  /** The system text. It never changes between turns, so that a server can keep its prefix. */
  readonly instructions: string
  readonly history: readonly Exchange[]
  /** What the user said in the past, newest first: data, never instructions. */
  readonly memories: readonly string[]
  readonly user: string
  readonly maxTokens?: number
}

/** A part of the reply, and who wrote it. */
export type ReplyPiece = { readonly text: string; readonly model: string }

export interface LanguageModel {
  /** Who would write the next reply. */
  readonly name: string
  /** Throws `dependency_unavailable` before the first piece when it can't answer, `stage_failed` when it breaks off later. */
  reply(prompt: Prompt, signal: AbortSignal): AsyncIterable<ReplyPiece>
}

export type LanguageModelEntry = LanguageModel & { readonly isUsable: () => boolean }

/**
 * Several language models as one: the first that is usable answers; one that fails before it has said a word hands over to
 * the next, usable or not. `onHandOver` hears of each failure.
 */
export function firstOf(
  models: readonly [LanguageModelEntry, ...LanguageModelEntry[]],
  onHandOver: (from: string, error: AppError) => void,
): LanguageModel {
  return {
    get name() {
      return (models.find((model) => model.isUsable()) ?? models.at(-1) ?? models[0]).name
    },
    async *reply(prompt, signal) {
      let last: AppError | undefined
      for (const model of models) {
        if (!model.isUsable() && model !== models.at(-1)) continue
        let hasSpoken = false
        try {
          for await (const piece of model.reply(prompt, signal)) {
            const text = hasSpoken ? piece.text : piece.text.trimStart()
            if (text === '') continue
            hasSpoken = true
            yield { ...piece, text }
          }
          if (hasSpoken) return
          throw new Error('expected a reply, got none')
        } catch (error) {
          signal.throwIfAborted()
          if (hasSpoken) throw stageFailed('llm', `${model.name} broke off its reply`, error)
          last = toAppError(error)
          onHandOver(model.name, last)
        }
      }
      throw new AppError('dependency_unavailable', 'no language model can answer now', {
        cause: last,
        details: { stage: 'llm' },
        retryAfterMs: last?.retryAfterMs ?? 1000,
      })
    },
  }
}
