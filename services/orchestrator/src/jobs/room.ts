/** Whether the queue takes another job: it stops well before Redis is full, because a full Redis can't even give out the jobs it has. */
import { AppError } from '@hearth/shared/errors'

const MAX_MEMORY_SHARE = 0.7

/** Throws `overloaded`. `depth`: jobs that wait or run; `memory`: what Redis says under INFO memory. */
export function requireRoom(depth: number, maxDepth: number, memory: string): void {
  if (depth >= maxDepth)
    throw new AppError('overloaded', `${depth} jobs wait or run, and more are not taken`, { retryAfterMs: 2000 })
  const share = memoryShare(memory)
  if (share > MAX_MEMORY_SHARE)
    throw new AppError('overloaded', `the queue's Redis is ${Math.floor(share * 100)} % full`, { retryAfterMs: 5000 })
}

/** Of what Redis may take, 0 when that has no limit. */
function memoryShare(info: string): number {
  const bytes = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limit = bytes('maxmemory')
  return limit === 0 ? 0 : bytes('used_memory') / limit
}
