/** How a turn ended, as clients are told it. */
import type { FunctionCall } from '@hearth/shared/api'
import { toolCallBody } from './stages/tools.ts'
import type { TurnEnding } from './turn-events.ts'

export type EndingBody = Omit<TurnEnding, 'toolCalls' | 'isFull'> & {
  readonly truncated?: true
  readonly tool_calls?: readonly FunctionCall[]
}

export const endingBody = ({ toolCalls, isFull, ...ending }: TurnEnding): EndingBody => ({
  ...ending,
  ...(isFull && { truncated: true }),
  ...(toolCalls && { tool_calls: toolCalls.map(toolCallBody) }),
})
