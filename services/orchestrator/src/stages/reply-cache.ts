/**
 * Replies that are given again to the very same question: same instructions, history, memories, words and limits, within a time. For stations
 * that are asked the same all day. Off unless LLM_CACHE_SECONDS is set.
 */
import { createHash } from 'node:crypto'
import type { LanguageModel, Prompt, ReplyPiece } from './llm.ts'

export type ReplyCacheOptions = {
  readonly keptMs: number
  readonly maxEntries?: number
  readonly now?: () => number
}

type Kept = { readonly text: string; readonly model: string; readonly until: number }

const MAX_ENTRIES = 500
/** Longer replies are not kept. */
const MAX_CHARS = 8192

/** Keeps whole replies of the first model in the chain; the one of a fallback, or half of one, is not given twice. */
export function cacheReplies(
  llm: LanguageModel,
  { keptMs, maxEntries = MAX_ENTRIES, now = () => performance.now() }: ReplyCacheOptions,
): LanguageModel['reply'] {
  /** The least recently kept first. */
  const replies = new Map<string, Kept>()

  function keep(key: string, kept: Kept): void {
    replies.delete(key)
    replies.set(key, kept)
    for (const [oldest, { until }] of replies) {
      if (replies.size <= maxEntries && until > now()) return
      replies.delete(oldest)
    }
  }

  return async function* reply(prompt, signal) {
    const key = keyOf(llm.name, prompt)
    const known = replies.get(key)
    if (known && known.until > now()) {
      signal.throwIfAborted()
      yield { text: known.text, model: known.model, cached: true }
      return
    }
    let text = ''
    let last: ReplyPiece | undefined
    for await (const piece of llm.reply(prompt, signal)) {
      text += piece.text
      last = piece
      yield piece
    }
    if (!last || last.incomplete || last.isFull || last.fallbacks || last.toolCalls || text.length > MAX_CHARS) return
    keep(key, { text, model: last.model, until: now() + keptMs })
  }
}

/** What was said is not kept as it is, only its hash. */
function keyOf(model: string, prompt: Prompt): string {
  const { session: _, ...asked } = prompt
  return createHash('sha256')
    .update(JSON.stringify([model, asked]))
    .digest('base64')
}
