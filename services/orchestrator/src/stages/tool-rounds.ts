/**
 * A reply in several rounds: while the model calls tools of Hearth's, it is told their results and asked again. Calls of the client's functions
 * end the reply: the client answers them with its next request.
 */
import { randomUUID } from 'node:crypto'
import { addUsage } from './llm.ts'
import type { Prompt, ReplyPiece, ToolCall, ToolSpec, Usage } from './llm.ts'
import type { Message } from './prompt.ts'
import { runTool, TOOL_LIMITS } from './tools.ts'
import type { Tool } from './tools.ts'

/** How an answer of the model ended. */
export type Answer = {
  readonly calls: readonly ToolCall[]
  readonly usage: Usage
  /** It has as many tokens as it may have. */
  readonly isFull?: boolean
}

/** One answer's words as they come, and its end. */
export type AnswerWords = AsyncGenerator<string, Answer, void>

/** A call that was run here, and what it gave. */
type ToldCall = { readonly call: ToolCall; readonly content: string }

/** The calls as the model made them, and their results. */
export const toldMessages = (told: readonly ToldCall[]): Message[] => [
  { role: 'assistant', content: '', calls: told.map(({ call }) => call) },
  ...told.map(({ call, content }) => ({ role: 'tool' as const, call, content })),
]

/** The words of `answer`; its end goes to `end`. */
export async function* withEnd(answer: AnswerWords, end: { answer?: Answer }): AsyncGenerator<string, void, void> {
  end.answer = yield* answer
}

/** What the last piece of a reply tells of its end. */
export const endingOf = (
  { calls, usage, isFull }: Answer = { calls: [], usage: {} },
): Omit<ReplyPiece, 'text' | 'model'> => ({
  usage,
  ...(isFull && { isFull }),
  ...(calls.length > 0 && { toolCalls: calls }),
})

/** Not every server gives its calls a name of their own. */
export const withId = (call: ToolCall): ToolCall => (call.id === '' ? { ...call, id: newCallId() } : call)

export const newCallId = (): string => `call_${randomUUID().replaceAll('-', '')}`

/**
 * The words of all rounds; the last round is offered no tools of Hearth's, so that it answers. `tell` puts calls and their results into the
 * messages. When a round calls tools of both sides, those of Hearth's are run first, as the client knows nothing of their results; the others
 * are kept until the model has seen these, and count unless it then asks for others. At the end: the calls that are the client's to answer, and
 * the counts of all rounds.
 */
export async function* toolRounds(
  { tools: clients = [], toolChoice, session }: Pick<Prompt, 'tools' | 'toolChoice' | 'session'>,
  builtIn: readonly Tool[],
  answer: (offered: readonly ToolSpec[]) => AnswerWords,
  tell: (told: readonly ToldCall[]) => void,
): AnswerWords {
  // A client that brings a function of the same name wants its own.
  const own = toolChoice === 'none' ? [] : builtIn.filter(({ name }) => !clients.some((tool) => tool.name === name))
  const theirs = toolChoice === 'none' ? [] : clients
  const isTheirs = ({ name }: ToolCall) => theirs.some((tool) => tool.name === name)
  let usage: Usage = {}
  let calls: readonly ToolCall[] = []
  for (let round = 0; ; round++) {
    const offered = round < TOOL_LIMITS.rounds ? own : []
    const last = yield* answer([...offered, ...theirs])
    usage = addUsage(usage, last.usage)
    if (last.calls.some(isTheirs)) calls = last.calls.filter(isTheirs)
    const mine = last.calls.filter((call) => !isTheirs(call))
    if (mine.length === 0 || offered.length === 0) return { ...last, calls, usage }
    // The words before a call and those after it are no single word.
    yield ' '
    tell(mine.map((call) => ({ call, content: runTool(own, call, session) })))
  }
}
