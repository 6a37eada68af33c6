/** Malformed HTTP never reaches the app; its answer has the one error body all the same, written by hand. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HEADERS } from './api.ts'
import { errorBody } from './error-response.ts'
import { AppError } from './errors.ts'

/** What Node's parser says of HTTP that is none, and of clients too slow; all else is `invalid_request`. */
const BROKEN: Readonly<Record<string, AppError>> = {
  HPE_HEADER_OVERFLOW: new AppError('headers_too_large', 'expected at most 100 headers and 16 KiB of them'),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new AppError('body_too_large', 'the chunk extensions are too long'),
  ERR_HTTP_REQUEST_TIMEOUT: new AppError('request_timeout', 'the request did not arrive in time'),
}
const LINGER_MS = 500

/** Writes the answer to a `clientError` of Node's server, and closes the socket. Nothing may have been written for this request yet. */
export function answerBrokenHttp({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  refuseByHand(BROKEN[code] ?? new AppError('invalid_request', 'expected HTTP/1.1, got something that is not'), socket)
}

/** An HTTP answer with the one error body on a bare socket, which is then closed. */
export function refuseByHand(error: AppError, socket: Duplex): void {
  const requestId = crypto.randomUUID()
  const body = JSON.stringify(errorBody(error, requestId))
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `${HEADERS.requestId}: ${requestId}`,
    `x-should-retry: ${error.retryable}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // A socket closed with unread input is reset, and the client may lose the answer: it gets a moment to hang up first.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.resume().once('close', () => clearTimeout(timer))
}
