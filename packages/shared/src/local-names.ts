/**
 * Names that only this machine or its own network can give. A page whose own public name was made to lead here (DNS rebinding) still asks under
 * that name: so who asks under an address or a local name is no such page.
 */
import { isIP } from 'node:net'

/** For this machine and its network alone: RFC 6761, 6762 and 8375, ICANN's `internal`, what routers give (`lan`), and Kubernetes' services. */
const LOCAL_ENDS = ['localhost', 'local', 'lan', 'internal', 'home.arpa', 'svc']

/**
 * Whether a service may be asked under `hostname`, as in a URL: an IP address, one label (`stt`, as compose names services), a name under one of
 * the local ends, or one of `allowed`, where `.home.example` is all names under it and `*` any.
 */
export function isKnownName(hostname: string, allowed: readonly string[] = []): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, '')
  if (name === '') return false
  if (isAddress(name) || !name.includes('.')) return true
  return LOCAL_ENDS.some((end) => name.endsWith(`.${end}`)) || allowed.some((one) => isNamedBy(one.toLowerCase(), name))
}

const isAddress = (hostname: string): boolean => isIP(hostname.replaceAll(/^\[|\]$/g, '')) !== 0

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether a page with that origin came from this machine, or under the name at which it asks now (`hostname`). */
export function isOwnPage(origin: string, hostname: string): boolean {
  const from = hostnameOf(origin)
  return LOOPBACK.has(from) || (from !== '' && from === hostname)
}

/** Whether a page with that origin can only be of this network, or of `allowed`. An address tells nothing: anybody has one. */
export function isLocalPage(origin: string, allowed: readonly string[] = []): boolean {
  const from = hostnameOf(origin)
  return !isAddress(from) && isKnownName(from, allowed)
}

const isNamedBy = (allowed: string, name: string): boolean =>
  allowed === '*' || allowed === name || (allowed.startsWith('.') && `.${name}`.endsWith(allowed))

/** The name in an address or an origin; '' when it is none. */
export const hostnameOf = (address: string): string => (URL.canParse(address) ? new URL(address).hostname : '')
