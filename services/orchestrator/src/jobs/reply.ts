/**
 * An answer of the stt service as it travels through the queue: status, headers and bytes as they came, whatever the caller asked for. A
 * short one lies in Redis with its job; a long one (an hour with the times of all words is a megabyte or two) in a spool of its own.
 */
import { AppError } from '@hearth/shared/errors'
import * as z from 'zod'
import type { Spool } from './spool.ts'

export type Reply = {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer>
}

export const StoredReply = z.object({
  status: z.int().min(200).max(599),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.union([z.object({ text: z.string() }), z.object({ ref: z.string() })]),
})
export type StoredReply = z.infer<typeof StoredReply>

/** About twenty hours with the times of all words. */
const MAX_REPLY_BYTES = 32 * 2 ** 20
/** A thousand results are kept: in Redis they are at most 8 MiB. */
const MAX_INLINE_BYTES = 8192

/** Reads an answer to its end. Throws `stage_failed` when it is too long to be one. */
export async function readReply({ status, headers, body }: Response): Promise<Reply> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body ?? []) {
    length += piece.length
    if (length > MAX_REPLY_BYTES)
      throw new AppError('stage_failed', `stt: expected an answer of at most ${MAX_REPLY_BYTES} bytes`)
    pieces.push(piece)
  }
  return { status, headers, body: Uint8Array.from(Buffer.concat(pieces)) }
}

/** Throws `storage_full`. */
export async function storeReply(reply: Reply, results: Spool): Promise<StoredReply> {
  const text = shortText(reply.body)
  const body = text === null ? { ref: await keep(reply.body, results) } : { text }
  return { status: reply.status, headers: [...reply.headers], body }
}

async function keep(body: Uint8Array, results: Spool): Promise<string> {
  try {
    return await results.put(body)
  } catch (cause) {
    throw new AppError('storage_full', `there is no room for a result of ${body.length} bytes`, { cause })
  }
}

/** Throws `job_not_found` when its body is not kept any more. */
export async function loadReply({ status, headers, body }: StoredReply, results: Spool): Promise<Reply> {
  return { status, headers: new Headers(headers), body: await loadBody(body, results) }
}

async function loadBody(body: StoredReply['body'], results: Spool): Promise<Uint8Array<ArrayBuffer>> {
  if ('text' in body) return Uint8Array.from(Buffer.from(body.text))
  const kept = await results.get(body.ref)
  if (!kept) throw new AppError('job_not_found', 'the result of this job was kept long enough')
  return new Uint8Array(await kept.arrayBuffer())
}

/** The answer's meaning: of JSON its value, else the text. */
export function contentOf({ headers, body }: Reply): unknown {
  const text = new TextDecoder().decode(body)
  return headers.get('content-type')?.includes('json') ? JSON.parse(text) : text
}

export const responseOf = ({ status, headers, body }: Reply): Response => new Response(body, { status, headers })

/** Null when it is long, or no text at all. */
function shortText(body: Uint8Array): string | null {
  if (body.length > MAX_INLINE_BYTES) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return null
  }
}
