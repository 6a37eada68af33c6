/** When a server refuses one prompt: that says nothing of the next, so the server is not left alone because of it. */
import { AppError } from '@hearth/shared/errors'

/** Not understood (tools, for a model that knows none), too long, or of a form that it does not take. */
const ABOUT_THE_PROMPT = new Set([400, 413, 422])

/** Throws `invalid_request` for a status that refuses the prompt. */
export function requireTaken(status: number): void {
  if (!ABOUT_THE_PROMPT.has(status)) return
  throw new AppError('invalid_request', `expected the language model's server to take this request, got ${status}`)
}

export const isRefused = (error: unknown): error is AppError =>
  error instanceof AppError && error.code === 'invalid_request'
