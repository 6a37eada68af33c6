/**
 * What is refused before a route runs: by the address, the headers and the length that a request declares. The idea: nothing here reads a
 * byte of the body, except that bodies without a length are counted while somebody reads them.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from './errors.ts'

export type GuardOptions = { maxBodyBytes: number }

/** Node's own request and reply; absent under `app.request()`. */
export const nodeOf = (c: Context): Partial<HttpBindings> => c.env ?? {}

/** Throws the AppError for the first thing that is wrong. */
export function guard({ maxBodyBytes }: GuardOptions): MiddlewareHandler {
  return async function guardRequest(c, next) {
    checkAddress(c)
    checkCoding(c)
    if (Number(c.req.header('content-length') ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes)
    if (c.req.header('transfer-encoding') && c.req.raw.body) c.req.raw = countBody(c.req.raw, maxBodyBytes)
    await next()
  }
}

/** A dot segment, also as %2e, would be resolved before the route is chosen: what a proxy in front checked is then not what runs. */
const DOT_SEGMENT = /^[^?#]*\/(?:\.|%2e){1,2}(?:[/?#]|$)/i

function checkAddress(c: Context): void {
  const { incoming } = nodeOf(c)
  if (!incoming) return
  if (DOT_SEGMENT.test(incoming.url ?? '')) throw new AppError('not_found', 'no such path')
  // Node keeps the first of two Host headers; a proxy may have kept the other.
  const hosts = incoming.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host')
  if (hosts.length > 1) throw new AppError('invalid_request', `expected one Host header, got ${hosts.length}`)
}

/** Compressed bodies are refused, not inflated: a few kilobytes could become gigabytes. */
function checkCoding(c: Context): void {
  const content = c.req.header('content-encoding')?.toLowerCase() ?? 'identity'
  const transfer = c.req.header('transfer-encoding')?.toLowerCase() ?? 'chunked'
  if (content !== 'identity' || transfer !== 'chunked')
    throw new AppError('unsupported_encoding', 'expected an uncompressed body')
}

const tooLarge = (maxBytes: number) => new AppError('body_too_large', `the body is larger than ${maxBytes} bytes`)

/** Chunks cost more than their bytes: a body of very small ones is cut off long before it reaches the limit. */
const FREE_CHUNKS = 1000
const LEAST_BYTES_PER_CHUNK = 32

function countBody(request: Request, maxBytes: number): Request {
  let bytes = 0
  let chunks = 0
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      chunks++
      if (bytes > maxBytes) controller.error(tooLarge(maxBytes))
      else if (chunks > FREE_CHUNKS + bytes / LEAST_BYTES_PER_CHUNK)
        controller.error(
          new AppError('body_too_large', `the body comes in too many chunks, ${chunks} for ${bytes} bytes`),
        )
      else controller.enqueue(chunk)
    },
  })
  return new Request(request, {
    method: request.method,
    body: request.body?.pipeThrough(counter) ?? null,
    duplex: 'half',
  })
}
