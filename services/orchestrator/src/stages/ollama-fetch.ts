/**
 * The `fetch` that Ollama's client is given. The client can't be told to stop before the answer begins, prints what it can't
 * parse (which is what people said) and goes on as if nothing was missing: all three end here.
 */
import { AppError } from '@hearth/shared/errors'
import { fetchAgain } from './fetch-again.ts'
import { requireTaken } from './refused-prompt.ts'

const LONGEST_LINE = 262_144

/** A fetch that ends with `signal`, refuses error answers, and fails on a line that is no JSON or longer than 256 KiB. */
export function createCheckedFetch(signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const signals = init?.signal ? [signal, init.signal] : [signal]
    const response = await fetchAgain(input, { ...init, redirect: 'error', signal: AbortSignal.any(signals) })
    if (!response.ok) {
      await response.body?.cancel()
      requireTaken(response.status)
      throw unavailable(`ollama answered ${response.status}`, response.status === 503 ? 1000 : undefined)
    }
    return new Response(response.body?.pipeThrough(checkLines()) ?? null, response)
  }
}

/** Passes whole lines. The first bad one ends the stream as an error of Ollama's own would, behind the good ones before it. */
function checkLines(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder()
  const encoder = new TextEncoder()
  let rest = ''
  const pass = (all: readonly string[], controller: TransformStreamDefaultController<Uint8Array>): void => {
    const lines = all.filter((line) => line.trim() !== '')
    const bad = lines.findIndex((line) => !isJson(line))
    const good = bad === -1 ? lines : [...lines.slice(0, bad), NO_JSON]
    if (good.length > 0) controller.enqueue(encoder.encode(`${good.join('\n')}\n`))
    if (bad !== -1) controller.terminate()
  }
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      pass(rest.length > LONGEST_LINE ? [...lines, rest] : lines, controller)
    },
    flush: (controller) => pass([rest], controller),
  })
}

const NO_JSON = JSON.stringify({ error: 'expected JSON' })

const unavailable = (message: string, retryAfterMs?: number): AppError =>
  new AppError('dependency_unavailable', message, retryAfterMs === undefined ? {} : { retryAfterMs })

function isJson(line: string): boolean {
  if (line.length > LONGEST_LINE) return false
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
