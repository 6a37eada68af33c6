/** A reply in several rounds: while the model calls tools, it is told their results and asked again. */
import { addUsage } from './llm.ts'
import type { Usage } from './llm.ts'
import { TOOL_LIMITS } from './tools.ts'
import type { Tool } from './tools.ts'

/** One answer's words as they come; at its end the tools it wants called, and what it took. */
export type AnswerWords<Call> = AsyncGenerator<string, { readonly calls: readonly Call[]; readonly usage: Usage }, void>

/**
 * The words of all rounds. `tell` puts the calls and their results into the messages; the last round is offered no tools, so that it answers.
 * `onUsage` hears the counts of all rounds so far.
 */
export async function* toolRounds<Call>(
  tools: readonly Tool[],
  answer: (offered: readonly Tool[]) => AnswerWords<Call>,
  tell: (calls: readonly Call[]) => void,
  onUsage: (usage: Usage) => void,
): AsyncGenerator<string, void, void> {
  let total: Usage = {}
  for (let round = 0; ; round++) {
    const { calls, usage } = yield* answer(round < TOOL_LIMITS.rounds ? tools : [])
    onUsage((total = addUsage(total, usage)))
    if (calls.length === 0) return
    // The words before a call and those after it are no single word.
    yield ' '
    tell(calls)
  }
}
