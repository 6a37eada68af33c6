/** Reading request bodies: every way in which a body can be broken gets its own 4xx, before any work starts. */
import { MIMEType } from 'node:util'
import type { Context } from 'hono'
import type * as z from 'zod'
import { AppError } from './errors.ts'
import { findUpload } from './multipart.ts'
import { nodeOf } from './request-guard.ts'
import { parseStrictJson } from './strict-json.ts'

const MAX_PARTS = 64

/**
 * The JSON body, checked against `schema`. Throws `unsupported_content_type`, `invalid_encoding` (not UTF-8, lone surrogates),
 * `invalid_json` (broken, empty, nested deeper than 100), `duplicate_field`, `unknown_field`, `invalid_request`.
 */
export async function readJson<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  requireContentType(c, /^application\/(?:[\w.+-]+\+)?json$/, 'application/json')
  return check(parseStrictJson(decodeUtf8(await readBytes(c))), schema)
}

/** Any value against `schema`, with the same errors as a JSON body. */
export function check<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw describe(parsed.error.issues[0])
}

/** A multipart or urlencoded form. Throws `unsupported_content_type`, `invalid_multipart` (also for more than 64 parts). */
export const readForm = async (c: Context): Promise<FormData> => (await readFormBytes(c)).form

/** A form as `readForm` gives it, and the bytes it was read from. */
export async function readFormBytes(c: Context): Promise<{ form: FormData; bytes: Uint8Array<ArrayBuffer> }> {
  const { type, body } = await readFormBody(c)
  return { form: await parseForm(type, body), bytes: body }
}

/**
 * A form with a file that may be large: the platform's parser would copy it four times. `file` is a part of the body as it came, and alone
 * in its memory; in `form` it is empty. Null when there is none to be found: what the form is then decides.
 */
export async function readUpload(
  c: Context,
  name: string,
): Promise<{ form: FormData; file: Uint8Array<ArrayBuffer> | null }> {
  const { type, body } = await readFormBody(c)
  const found =
    type.essence === 'multipart/form-data' ? findUpload(body, type.params.get('boundary') ?? '', name) : null
  if (!found) return { form: await parseForm(type, body), file: null }
  const rest = joined([body.subarray(0, found.from), body.subarray(found.to)])
  return { form: await parseForm(type, rest), file: body.subarray(found.from, found.to) }
}

async function readFormBody(c: Context): Promise<{ type: MIMEType; body: Uint8Array<ArrayBuffer> }> {
  const type = requireContentType(
    c,
    /^(?:multipart\/form-data|application\/x-www-form-urlencoded)$/,
    'multipart/form-data',
  )
  // The limit was checked on the way in; reading the bytes first tells a broken connection from a broken form.
  const body = await readBytes(c)
  checkPartCount(body, type)
  return { type, body }
}

async function parseForm(type: MIMEType, body: Uint8Array<ArrayBuffer>): Promise<FormData> {
  const reading = new Response(streamOf(body), { headers: { 'content-type': String(type) } }).formData()
  return reading.catch((cause: unknown) => {
    throw new AppError(
      'invalid_multipart',
      'the form can not be read: expected multipart/form-data with its boundary, complete',
      { cause },
    )
  })
}

/** A Response copies bytes that it is given, but not those of a stream. */
const streamOf = (bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(bytes)
      controller.close()
    },
  })

/** Before parsing, which takes a second for the hundred thousand parts that fit into an upload. */
function checkPartCount(body: Uint8Array<ArrayBuffer>, { essence, params }: MIMEType): void {
  const separator = essence === 'multipart/form-data' ? `--${params.get('boundary')}` : '&'
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  let count = 0
  // The last part is followed by a separator too.
  for (let at = bytes.indexOf(separator); at !== -1; at = bytes.indexOf(separator, at + separator.length))
    if (++count > MAX_PARTS + 1) throw new AppError('invalid_multipart', `expected at most ${MAX_PARTS} parts`)
}

/** The raw body. Throws `incomplete_body` when the connection broke off, `body_too_large` past the limit. */
export async function readBytes(c: Context): Promise<Uint8Array<ArrayBuffer>> {
  // Only now: a request that is refused by its headers is never asked for its body (see serve.ts).
  if (c.req.header('expect')?.toLowerCase() === '100-continue') nodeOf(c).outgoing?.writeContinue()
  try {
    return await readAll(c.req.raw.body ?? [], Number(c.req.header('content-length') ?? 0))
  } catch (error) {
    if (error instanceof AppError) throw error
    if (error instanceof Error && error.cause instanceof AppError) throw error.cause
    throw new AppError('incomplete_body', 'the body ended before it was complete', { cause: error })
  }
}

/** Exactly one value of a form field, or undefined. Throws `duplicate_field`. */
export function oneField(form: FormData, name: string): FormDataEntryValue | undefined {
  const values = form.getAll(name)
  if (values.length > 1) {
    const shown = name.slice(0, 80)
    throw new AppError('duplicate_field', `the field ${shown} came ${values.length} times, expected once`, {
      param: shown,
    })
  }
  return values[0]
}

type FormDataEntryValue = ReturnType<FormData['getAll']>[number]

/** The bytes of a form's file. Throws `missing_file`, `duplicate_field`. */
export async function fileBytes(form: FormData, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const value = oneField(form, name)
  if (value === undefined || typeof value === 'string')
    throw new AppError('missing_file', `expected a file in the field ${name}`, { param: name })
  return new Uint8Array(await value.arrayBuffer())
}

function requireContentType(c: Context, expected: RegExp, name: string): MIMEType {
  const given = c.req.header('content-type') ?? ''
  const type = parseMimeType(given)
  if (!type || !expected.test(type.essence))
    throw new AppError('unsupported_content_type', `expected ${name}, got ${given.slice(0, 80) || 'no content type'}`)
  if (!/^utf-?8$/i.test(type.params.get('charset') ?? 'utf-8'))
    throw new AppError('unsupported_content_type', 'expected charset utf-8')
  return type
}

function parseMimeType(text: string): MIMEType | undefined {
  try {
    return new MIMEType(text)
  } catch {
    return undefined
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new AppError('invalid_encoding', 'the body is not valid UTF-8', { cause })
  }
}

function describe(issue: z.core.$ZodIssue | undefined): AppError {
  const path = issue?.path.map(String) ?? []
  if (issue?.code === 'unrecognized_keys') {
    const field = [...path, ...issue.keys.slice(0, 1)].join('.').slice(0, 80)
    return new AppError('unknown_field', `unknown field: ${field}`, { param: field })
  }
  const param = path.join('.')
  return new AppError('invalid_request', `${param || 'body'}: ${issue?.message ?? 'invalid'}`, param ? { param } : {})
}

/** Each piece to its place: `arrayBuffer()` makes two copies of an upload. Memory that is only claimed is not used (see calloc). */
async function readAll(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, claimedBytes: number) {
  const all = new Uint8Array(claimedBytes)
  const more: Uint8Array[] = []
  let at = 0
  for await (const piece of body) {
    if (at + piece.length <= all.length && more.length === 0) all.set(piece, at)
    else more.push(piece)
    at += piece.length
  }
  return at === all.length && more.length === 0 ? all : joined([all.subarray(0, at), ...more])
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
