/**
 * Who may change to a WebSocket, decided before anything is sent. Browsers let every page open one, and send no key in a header: so pages of
 * other sites are told apart by their origin, and the key may also come as a subprotocol (OpenAI's form).
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type AccessOptions, bearerKey, keyCheck, unknownHost } from './access.ts'
import { refuseByHand } from './broken-http.ts'
import { AppError } from './errors.ts'
import { hostnameOf, isOwnPage } from './local-names.ts'

export type UpgradeOptions = AccessOptions & {
  /** The one path that takes WebSockets. */
  readonly path: string
  /** Whether extensions of browsers may, which have origins of their own. */
  readonly extensions?: boolean
}

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

const KEY_PROTOCOL = 'openai-insecure-api-key.'

/** Hands on what may change to a WebSocket; everything else is refused on the spot, with the one error body. */
export function guardUpgrade(options: UpgradeOptions, accept: UpgradeHandler): UpgradeHandler {
  const isAllowed = keyCheck(options.apiKey)
  return (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const refusal = refusalOf(request, options, isAllowed)
    if (refusal) refuseByHand(refusal, socket)
    else accept(request, socket, head)
  }
}

/** The subprotocols that a client offers. */
export const protocolsOf = ({ headers }: IncomingMessage): string[] =>
  (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())

function refusalOf(
  request: IncomingMessage,
  options: UpgradeOptions,
  isAllowed: (key: string | undefined) => boolean,
): AppError | null {
  const { url = '', headers } = request
  if (url.split('?', 1)[0] !== options.path) return new AppError('not_found', 'no such path')
  const unknown = unknownHost(`http://${headers.host ?? ''}`, options)
  if (unknown) return unknown
  if (!isKnownOrigin(headers, options))
    return new AppError('origin_not_allowed', 'pages of this origin may not use this service')
  const key = bearerKey(headers.authorization) ?? protocolKey(request)
  if (isAllowed(key)) return null
  return new AppError('unauthorized', `expected the API key as \`Authorization: Bearer\` or \`${KEY_PROTOCOL}<key>\``)
}

const protocolKey = (request: IncomingMessage): string | undefined =>
  protocolsOf(request)
    .find((name) => name.startsWith(KEY_PROTOCOL))
    ?.slice(KEY_PROTOCOL.length)

function isKnownOrigin(
  { origin, host = '' }: IncomingMessage['headers'],
  { allowedOrigins = [], extensions = false }: UpgradeOptions,
): boolean {
  if (origin === undefined || allowedOrigins.includes('*') || allowedOrigins.includes(origin)) return true
  if (extensions && /^(?:chrome|moz|safari-web)-extension:/.test(origin)) return true
  return isOwnPage(origin, hostnameOf(`http://${host}`))
}
