/**
 * Tools that Hearth runs itself for models that call tools: what a language model can't know (the time) or often gets wrong
 * (sums). What a model writes as arguments is checked against a schema, and a mistake is told to the model, which can mend it.
 */
import * as z from 'zod'
import type { ToolCall, ToolSpec } from './llm.ts'
import { TimerArgs } from './timers.ts'
import type { Timers } from './timers.ts'

/** One that Hearth runs itself. */
export type Tool = ToolSpec & {
  /** What the model is told. Throws when the arguments can't be used. `session` is the caller's, if there is one. */
  readonly run: (args: unknown, session: string | undefined) => string
}

/** How often a model may call tools before it has to answer, and how many it may call at once. */
export const TOOL_LIMITS = { rounds: 3, calls: 8, argumentChars: 4096 }
const LONGEST_SUM = 200

/** `clock`, on the clock and in the time zone of this machine unless told otherwise, `sums`, and `timer` (timers.ts). */
export function builtInTools(timers: Timers, now: () => Date = () => new Date()): readonly Tool[] {
  return [
    tool(
      'clock',
      'The date and the time of day, now.',
      z.strictObject({ timeZone: z.string().max(64).optional().describe('IANA name, such as Europe/Prague') }),
      ({ timeZone }) => now().toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'short', timeZone }),
    ),
    tool(
      'sums',
      'Works out a sum of numbers with + - * / and parentheses.',
      z.strictObject({ expression: z.string().min(1).max(LONGEST_SUM).describe('for example (2 + 3) * 4.5') }),
      ({ expression }) => String(workOut(expression)),
    ),
    tool(
      'timer',
      'Sets, lists or cancels timers of this conversation. The user is told of one that rang with the next reply.',
      TimerArgs,
      (args, session) => timers.act(session, args),
    ),
  ]
}

function tool<S extends z.ZodType>(
  name: string,
  description: string,
  schema: S,
  run: (args: z.infer<S>, session: string | undefined) => string,
): Tool {
  const { $schema: _, ...parameters } = z.toJSONSchema(schema)
  return { name, description, parameters, run: (args, session) => run(schema.parse(args), session) }
}

/** The tools as both Ollama and OpenAI want them told. */
export const toolSpecs = (tools: readonly ToolSpec[]) =>
  tools.map(({ name, description, parameters }) => ({
    type: 'function' as const,
    function: { name, ...(description !== undefined && { description }), ...(parameters && { parameters }) },
  }))

/** A call in OpenAI's shape. */
export const toolCallBody = ({ id, name, args }: ToolCall) => ({
  id,
  type: 'function' as const,
  function: { name, arguments: args },
})

/** What the model is told of its call. Never throws: a call that can't be run is told as an error. */
export function runTool(tools: readonly Tool[], { name, args }: ToolCall, session: string | undefined): string {
  const found = tools.find((one) => one.name === name)
  if (!found) return `error: expected one of ${tools.map((one) => one.name).join(', ')}`
  try {
    return found.run(JSON.parse(args || '{}'), session)
  } catch (error) {
    return `error: ${error instanceof z.ZodError ? z.prettifyError(error) : 'these arguments can not be used'}`
  }
}

/** The value of a sum. Throws `RangeError` when it is none, or has no finite value. */
export function workOut(expression: string): number {
  const tokens =
    expression
      .replaceAll('×', '*')
      .replaceAll('÷', '/')
      .match(/\d+(?:\.\d+)?|[-+*/()]|\S/g) ?? []
  let at = 0
  const takes = (...marks: readonly string[]): string | undefined => {
    const token = tokens[at]
    if (token === undefined || !marks.includes(token)) return undefined
    at += 1
    return token
  }

  function sum(): number {
    let value = product()
    for (let mark = takes('+', '-'); mark !== undefined; mark = takes('+', '-'))
      value = mark === '+' ? value + product() : value - product()
    return value
  }

  function product(): number {
    let value = factor()
    for (let mark = takes('*', '/'); mark !== undefined; mark = takes('*', '/'))
      value = mark === '*' ? value * factor() : value / factor()
    return value
  }

  function factor(): number {
    if (takes('-')) return -factor()
    if (takes('(')) {
      const value = sum()
      if (!takes(')')) throw new RangeError('expected a closing parenthesis')
      return value
    }
    const token = tokens[at]
    if (token === undefined || !/^\d/.test(token)) throw new RangeError('expected a number')
    at += 1
    return Number(token)
  }

  const value = sum()
  if (at < tokens.length || !Number.isFinite(value)) throw new RangeError('expected a sum with a value')
  // 0.1 + 0.2 is 0.3 to the one who asked.
  return Number(value.toPrecision(12))
}
