/** For tests: a stub of another service that answers well, or fails in the way the test says. */
import type { ServerResponse } from 'node:http'
import { startStub } from './http-stub.ts'
import type { Answer, Asked, HttpStub } from './http-stub.ts'

export type Mode =
  | 'ok'
  /** Takes the request and never answers. */
  | 'hang'
  /** Half of the answer, and then nothing. */
  | 'stall'
  /** Half of the answer, and then the connection is cut. */
  | 'truncated'
  /** The connection is cut before the first byte. */
  | 'reset'
  /** A good answer, each byte on its own. */
  | 'split'
  /** A page of some proxy, with status 200. */
  | 'html'
  | 429
  | 500
  | 503

export type Good = { readonly type: string; readonly body: Buffer }

export type FaultyServer = HttpStub & {
  mode: Mode
  /** The answers to come before `mode`, one for each request. */
  next: Mode[]
  /** What a good answer is. */
  good: (asked: Asked) => Good
  /** Answers what is none of its modes' business. */
  calm: Answer
  /** The requests that `calm` answers. */
  isCalm: (asked: Asked) => boolean
}

export type Answers = Pick<FaultyServer, 'good'> & {
  readonly calm?: Answer
  readonly isCalm?: FaultyServer['isCalm']
}

export async function startFaultyServer({
  good,
  calm = () => {},
  isCalm = () => false,
}: Answers): Promise<FaultyServer> {
  const stub = await startStub((response, asked, request) => {
    if (server.isCalm(asked)) server.calm(response, asked, request)
    else answerIn(server.next.shift() ?? server.mode, response, server.good(asked))
  })
  const server: FaultyServer = Object.assign(stub, { mode: 'ok' as const, next: [], good, calm, isCalm })
  return server
}

function answerIn(mode: Mode, response: ServerResponse, { type, body }: Good): void {
  if (mode === 'hang') return
  if (mode === 'reset') return void response.destroy()
  if (mode === 'html') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html></html>')
  if (typeof mode === 'number')
    return void response.writeHead(mode, { 'content-type': 'text/plain' }).end('no service today')
  response.writeHead(200, { 'content-type': type, 'content-length': body.length })
  if (mode === 'ok') return void response.end(body)
  if (mode === 'split') return sendSplit(response, body)
  const half = body.subarray(0, Math.floor(body.length / 2))
  response.write(half, () => mode === 'truncated' && response.destroy())
}

function sendSplit(response: ServerResponse, body: Buffer): void {
  const [first] = body
  if (first === undefined) return void response.end()
  response.write(body.subarray(0, 1), () => setImmediate(() => sendSplit(response, body.subarray(1))))
}
