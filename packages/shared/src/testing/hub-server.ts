/**
 * A Hugging Face hub for tests: its addresses, headers and redirects, and a switch for each way it can fail. Large files
 * come from a second origin, as the hub's do from its CDN. Nothing here waits for time: slow and stalled answers go on
 * when the test says so.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The body comes in pieces of `pieceBytes`, one at each `release()`. */
  | { readonly kind: 'slow'; readonly pieceBytes: number }
  /** Nothing more comes: after `bytes` of the body, or without an answer when `bytes` is not given. */
  | { readonly kind: 'stall'; readonly bytes?: number }
  /** The connection breaks after `bytes` of the body. */
  | { readonly kind: 'reset'; readonly bytes: number }
  /** The connection ends in order, but `bytes` of the body instead of the promised length have come. */
  | { readonly kind: 'short-body'; readonly bytes: number }
  | { readonly kind: 'wrong-bytes' | 'html' | 'ignore-range' | 'wrong-range' | 'unpromised-bytes' }
  /** To another path of the same origin, or on and on. */
  | { readonly kind: 'redirect' | 'redirect-loop' }
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string | null>> }

export type FaultScope = { readonly method?: 'GET' | 'HEAD'; readonly file?: string; readonly times?: number }

export type HubRequest = {
  readonly origin: 'hub' | 'cdn'
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
}

export type HubFile = { readonly content: Uint8Array; readonly isLarge?: boolean }

type ActiveFault = { readonly fault: Fault; readonly scope: FaultScope; left: number }

/** Git's name of a file's content: the etag of the hub's small files. */
export const gitBlobSha1 = (content: Uint8Array): string =>
  createHash('sha1').update(`blob ${content.byteLength}\0`).update(content).digest('hex')

/** The etag of the hub's large files. */
export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

export class HubServer {
  readonly id: string
  readonly commit: string
  readonly files: Map<string, HubFile>
  readonly requests: HubRequest[] = []
  readonly #hub: Server
  readonly #cdn: Server
  readonly #faults: ActiveFault[] = []
  readonly #sockets: Socket[] = []
  #pieces = 0
  #onPiece: (() => void)[] = []

  constructor(id: string, commit: string, files: Readonly<Record<string, HubFile>>) {
    this.id = id
    this.commit = commit
    this.files = new Map(Object.entries(files))
    this.#hub = createServer((request, response) => void this.#answer('hub', request, response))
    this.#cdn = createServer((request, response) => void this.#answer('cdn', request, response))
  }

  get endpoint(): string {
    return originOf(this.#hub)
  }

  /** The requests for one file, whichever origin got them. */
  requestsFor(method: 'GET' | 'HEAD', file: string): HubRequest[] {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(`/${file}`))
  }

  async listen(): Promise<this> {
    for (const server of [this.#hub, this.#cdn]) {
      server.on('connection', (socket) => this.#sockets.push(socket))
      await once(server.listen(0, '127.0.0.1'), 'listening')
    }
    return this
  }

  /** Makes requests in scope fail, `times` of them or all. An earlier fault goes first. */
  fail(fault: Fault, scope: FaultScope = {}): void {
    this.#faults.push({ fault, scope, left: scope.times ?? Infinity })
  }

  heal(): void {
    this.#faults.length = 0
  }

  /** Lets one more piece of a slow body go. */
  release(): void {
    this.#pieces += 1
    for (const go of this.#onPiece.splice(0)) go()
  }

  /** From now on nobody is answered. Nobody waits for Node to say that it is closed, either: after a connection that was reset it once did not. */
  close(): void {
    for (const server of [this.#hub, this.#cdn]) server.close()
    for (const socket of this.#sockets.splice(0)) socket.destroy()
  }

  async #answer(origin: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request
    this.requests.push({ origin, method, path, headers })
    const [, isResolved, revision, file = ''] =
      /^(?:\/moved)?(\/[^/]+\/[^/]+\/resolve\/|\/cdn\/)([^/]+)\/(.+)$/.exec(path) ?? []
    const isKnownRevision = revision === this.commit || !/^[0-9a-f]{40}$/.test(revision ?? '')
    const found = isResolved && isKnownRevision ? this.files.get(decodeURIComponent(file)) : undefined
    // A large file's transfer happens at the CDN, so that is where its faults of transfer are.
    const isRedirectToCdn = origin === 'hub' && found?.isLarge === true
    const fault = isRedirectToCdn && method === 'GET' ? null : this.#take(method, file)
    if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.headers).end()
    if (fault?.kind === 'redirect-loop') return void response.writeHead(302, { location: path }).end()
    if (fault?.kind === 'redirect' && !path.startsWith('/moved')) {
      return void response.writeHead(307, { location: `/moved${path}` }).end()
    }
    if (fault?.kind === 'stall' && fault.bytes === undefined) return
    if (found === undefined) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
    const facts = this.#facts(found, fault)
    if (isRedirectToCdn) {
      const location = `${originOf(this.#cdn)}/cdn/${this.commit}/${file}`
      return void response.writeHead(302, { ...facts, location }).end()
    }
    await this.#send(found.content, request, response, origin === 'hub' ? facts : {}, fault)
  }

  #take(method: string, file: string): Fault | null {
    const active = this.#faults.find(
      ({ left, scope }) =>
        left > 0 &&
        (scope.method ?? method) === method &&
        (scope.file ?? decodeURIComponent(file)) === decodeURIComponent(file),
    )
    if (active === undefined) return null
    active.left -= 1
    return active.fault
  }

  #facts({ content, isLarge }: HubFile, fault: Fault | null): Record<string, string> {
    const facts: Record<string, string> = isLarge
      ? { etag: '"of-the-redirect"', 'x-linked-etag': `"${sha256(content)}"`, 'x-linked-size': `${content.byteLength}` }
      : { etag: `"${gitBlobSha1(content)}"` }
    facts['x-repo-commit'] = this.commit
    for (const [name, value] of Object.entries(fault?.kind === 'headers' ? fault.headers : {})) {
      if (value === null) delete facts[name]
      else facts[name] = value
    }
    return facts
  }

  async #send(
    content: Uint8Array,
    request: IncomingMessage,
    response: ServerResponse,
    facts: Record<string, string>,
    fault: Fault | null,
  ): Promise<void> {
    if (fault?.kind === 'html') {
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>please log in</html>')
    }
    const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const start = fault?.kind === 'ignore-range' ? 0 : asked
    // Another range than asked for, and says so.
    const first = fault?.kind === 'wrong-range' ? 0 : start
    if (start > content.byteLength) return void response.writeHead(416).end()
    const body = fault?.kind === 'wrong-bytes' ? content.map((byte) => byte ^ 1) : content
    response.writeHead(start > 0 ? 206 : 200, {
      ...facts,
      ...(fault?.kind === 'unpromised-bytes' ? {} : { 'content-length': content.byteLength - first }),
      ...(start > 0 ? { 'content-range': `bytes ${first}-${content.byteLength - 1}/${content.byteLength}` } : {}),
    })
    if (request.method === 'HEAD') return void response.end()
    await this.#sendBody(body.subarray(first), response, fault)
  }

  async #sendBody(body: Uint8Array, response: ServerResponse, fault: Fault | null): Promise<void> {
    switch (fault?.kind) {
      case 'slow':
        for (let start = 0; start < body.byteLength && !response.destroyed; start += fault.pieceBytes) {
          await this.#nextPiece()
          response.write(body.subarray(start, start + fault.pieceBytes))
        }
        return void response.end()
      case 'stall':
        return void response.write(body.subarray(0, fault.bytes))
      case 'reset':
        // Destroyed once written, so that these bytes arrive.
        return void response.write(body.subarray(0, fault.bytes), () => response.socket?.resetAndDestroy())
      case 'short-body':
        return void response.write(body.subarray(0, fault.bytes), () => response.socket?.end())
      case 'unpromised-bytes':
        response.write(body)
        return void response.end(new Uint8Array(100))
      default:
        return void response.end(body)
    }
  }

  async #nextPiece(): Promise<void> {
    while (this.#pieces === 0) await new Promise<void>((go) => this.#onPiece.push(go))
    this.#pieces -= 1
  }
}

/** A hub with one repository, on ports of its own. */
export function startHubServer(files: Readonly<Record<string, HubFile>>): Promise<HubServer> {
  return new HubServer('openai/tiny', 'c0ffee'.repeat(6) + 'c0ff', files).listen()
}

function originOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the hub server does not listen')
  return `http://127.0.0.1:${address.port}`
}
