/**
 * The `fetch` that Ollama's client is given. The client can't be told to stop before the answer begins, prints what it can't
 * parse (which is what people said) and goes on as if nothing was missing: all three end here.
 */
import { AppError } from '@hearth/shared/errors'
import { requireTaken } from './refused-prompt.ts'

const LONGEST_LINE = 262_144

/** A fetch that ends with `signal`, refuses error answers, and fails on a line that is no JSON or longer than 256 KiB. */
export function createCheckedFetch(signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const signals = init?.signal ? [signal, init.signal] : [signal]
    const response = await fetch(input, { ...init, redirect: 'error', signal: AbortSignal.any(signals) })
    if (!response.ok) {
      await response.body?.cancel()
      requireTaken(response.status)
      throw unavailable(`ollama answered ${response.status}`, response.status === 503 ? 1000 : undefined)
    }
    return new Response(response.body?.pipeThrough(checkLines()) ?? null, response)
  }
}

function checkLines(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder()
  let rest = ''
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LONGEST_LINE || !lines.every(isJson)) controller.error(unavailable('ollama sent no JSON'))
      else controller.enqueue(chunk)
    },
    flush(controller) {
      if (!isJson(rest)) controller.error(unavailable('ollama sent no JSON'))
    },
  })
}

const unavailable = (message: string, retryAfterMs?: number): AppError =>
  new AppError('dependency_unavailable', message, retryAfterMs === undefined ? {} : { retryAfterMs })

function isJson(line: string): boolean {
  if (line.trim() === '') return true
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
