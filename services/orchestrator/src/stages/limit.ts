/** A wait with an end: whatever `work` does with its signal, the caller goes on when the time is over or the caller's own signal aborts. */
import { AppError } from '@hearth/shared/errors'
import { traceHeaders, withTrace } from './trace.ts'

/**
 * Gives `work` a signal that aborts after `limitMs` or with `signal`, and settles by then even if `work` does not heed it.
 * Throws `deadline_exceeded` at the limit, the signal's reason when it aborts, else what `work` throws.
 */
export async function within<T>(
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const stop = new AbortController()
  const ended = Promise.withResolvers<never>()
  stop.signal.addEventListener('abort', () => ended.reject(stop.signal.reason), { once: true })
  const late = (): void => stop.abort(new AppError('deadline_exceeded', `no answer within ${Math.round(limitMs)} ms`))
  const leave = (): void => stop.abort(signal.reason)
  const timer = setTimeout(late, limitMs)
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([work(withTrace(stop.signal, traceHeaders(signal))), ended.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}
