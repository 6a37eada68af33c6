/** Reading request bodies: every way in which a body can be broken gets its own 4xx, before any work starts. */
import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from './errors.ts'

const MAX_DEPTH = 100
const MAX_PARTS = 64

/**
 * The JSON body, checked against `schema`. Throws `unsupported_content_type`, `invalid_encoding` (not UTF-8, lone surrogates),
 * `invalid_json` (broken, empty, nested deeper than 100), `unknown_field`, `invalid_request`.
 */
export async function readJson<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  requireContentType(c, /^application\/(?:[\w.+-]+\+)?json$/, 'application/json')
  const text = decodeUtf8(await readBytes(c))
  requireShallow(text)
  return check(parseJson(text), schema)
}

/** Any value against `schema`, with the same errors as a JSON body. */
export function check<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw describe(parsed.error.issues[0])
}

/** A multipart or urlencoded form. Throws `unsupported_content_type`, `invalid_multipart`. */
export async function readForm(c: Context): Promise<FormData> {
  requireContentType(c, /^(?:multipart\/form-data|application\/x-www-form-urlencoded)$/, 'multipart/form-data')
  const type = c.req.header('content-type') ?? ''
  // The limit was checked on the way in; reading the bytes first tells a broken connection from a broken form.
  const body = await readBytes(c)
  const form = await new Response(Uint8Array.from(body), { headers: { 'content-type': type } })
    .formData()
    .catch((cause: unknown) => {
      throw new AppError(
        'invalid_multipart',
        'the form can not be read: expected multipart/form-data with its boundary, complete',
        { cause },
      )
    })
  if ([...form.keys()].length > MAX_PARTS)
    throw new AppError('invalid_multipart', `expected at most ${MAX_PARTS} parts`)
  return form
}

/** The raw body. Throws `incomplete_body` when the connection broke off, `body_too_large` past the limit. */
export async function readBytes(c: Context): Promise<Uint8Array> {
  try {
    return new Uint8Array(await c.req.raw.arrayBuffer())
  } catch (error) {
    if (error instanceof AppError) throw error
    if (error instanceof Error && error.cause instanceof AppError) throw error.cause
    throw new AppError('incomplete_body', 'the body ended before it was complete', { cause: error })
  }
}

/** Exactly one value of a form field, or undefined. Throws `duplicate_field`. */
export function oneField(form: FormData, name: string): FormDataEntryValue | undefined {
  const values = form.getAll(name)
  if (values.length > 1)
    throw new AppError('duplicate_field', `the field ${name} came ${values.length} times, expected once`, {
      param: name,
    })
  return values[0]
}

type FormDataEntryValue = ReturnType<FormData['getAll']>[number]

/** The bytes of a form's file. Throws `missing_file`, `duplicate_field`. */
export async function fileBytes(form: FormData, name: string): Promise<Uint8Array> {
  const value = oneField(form, name)
  if (value === undefined || typeof value === 'string')
    throw new AppError('missing_file', `expected a file in the field ${name}`, { param: name })
  return new Uint8Array(await value.arrayBuffer())
}

function requireContentType(c: Context, expected: RegExp, name: string): void {
  const [type = '', ...parameters] = (c.req.header('content-type') ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase())
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice(8)
    .replaceAll('"', '')
  if (!expected.test(type))
    throw new AppError('unsupported_content_type', `expected ${name}, got ${type.slice(0, 80) || 'no content type'}`)
  if (charset && charset !== 'utf-8' && charset !== 'utf8')
    throw new AppError('unsupported_content_type', 'expected charset utf-8')
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new AppError('invalid_encoding', 'the body is not valid UTF-8', { cause })
  }
}

/** Counts brackets outside strings: cheap, and it runs before the parser's own recursion. */
function requireShallow(text: string): void {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (inString) {
      if (char === 0x5c) at++
      else if (char === 0x22) inString = false
    } else if (char === 0x22) inString = true
    else if (char === 0x7b || char === 0x5b) depth++
    else if (char === 0x7d || char === 0x5d) depth--
    if (depth > MAX_DEPTH) throw new AppError('invalid_json', `the JSON is nested deeper than ${MAX_DEPTH}`)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (key === '__proto__') throw new AppError('unknown_field', 'unknown field: __proto__', { param: '__proto__' })
      if (typeof value === 'string' && !value.isWellFormed())
        throw new AppError('invalid_encoding', 'a text holds half of a surrogate pair', key ? { param: key } : {})
      return value
    })
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid_json', 'the body is not valid JSON', { cause })
  }
}

function describe(issue: z.core.$ZodIssue | undefined): AppError {
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys
    return new AppError('unknown_field', `unknown field: ${key.slice(0, 80)}`, { param: key.slice(0, 80) })
  }
  const param = issue?.path.join('.') ?? ''
  return new AppError('invalid_request', `${param || 'body'}: ${issue?.message ?? 'invalid'}`, param ? { param } : {})
}
