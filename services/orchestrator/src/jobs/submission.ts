/** What a caller's HTTP request is to the queue: whose it is, whether it was made before, and what of its headers the stt service gets. */
import { createHash } from 'node:crypto'
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import type { Context } from 'hono'
import { requestHeaders } from '../gateway.ts'
import type { Submission } from './queue.ts'

/** Until there are accounts, everybody is one owner. */
const OWNER = 'default'
const KEY = /^[\x21-\x7e]{1,255}$/

/** Of the form's own length and of the caller's key the stt service learns nothing. */
export function jobHeaders(c: Context<AppEnv>): Record<string, string> {
  const { 'content-length': _length, 'idempotency-key': _key, ...headers } = Object.fromEntries(requestHeaders(c))
  return headers
}

/**
 * The Idempotency-Key, with a digest of all that is asked: `asked` and the form's fields and files, whatever their boundary. Undefined
 * without a key. Throws `invalid_request`.
 */
export async function readIdempotency(
  c: Context<AppEnv>,
  asked: readonly string[],
  form: FormData,
): Promise<Submission['idempotency']> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return undefined
  if (!KEY.test(key))
    throw new AppError('invalid_request', 'Idempotency-Key: expected 1 to 255 visible ASCII characters')
  const fields = await Promise.all([...form].map(async ([name, value]) => [name, await digestOf(value)]))
  const digest = createHash('sha256')
    .update(JSON.stringify([asked, fields]))
    .digest('hex')
  return { owner: OWNER, key, digest }
}

/** In a thread of Node's own: an upload may have many megabytes. */
async function digestOf(value: File | string): Promise<string> {
  const bytes = typeof value === 'string' ? Buffer.from(value) : await value.arrayBuffer()
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}
