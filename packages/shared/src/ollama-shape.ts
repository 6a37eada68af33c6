/** Errors as Ollama's clients read them, for the routes that have its names. */
import type { Context } from 'hono'
import { errorResponse } from './error-response.ts'
import { toAppError } from './errors.ts'
import type { AppEnv } from './http.ts'

/** `{"error": "text"}`, with the status and headers that the error has in the other dialect. */
export async function inOllamasShape(c: Context<AppEnv>, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer()
  } catch (thrown) {
    const { code, message } = toAppError(thrown)
    c.set('code', code)
    const { status, headers } = errorResponse(thrown, c.get('requestId'))
    return Response.json({ error: message }, { status, headers })
  }
}

/** Ollama's tag of whatever is newest says nothing here. */
export const plainName = (name: string): string => name.replace(/:latest$/, '')
