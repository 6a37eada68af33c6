/**
 * What `POST /generate` takes, in three forms: JSON with a text, a multipart form with a file, or the bytes of the file itself.
 * Everything that can be refused is refused here, before any other service is asked.
 */
import { GenerateRequest } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { check, fileBytes, oneField, readBytes, readForm, readJson } from '@hearth/shared/request-body'
import { decodeWav } from '@hearth/shared/wav'
import type { Context } from 'hono'
import type * as z from 'zod'
import type { TurnInput } from './turn-events.ts'

export type TurnRequest = {
  readonly said: TurnInput['said']
  readonly session: string | undefined
  readonly voice: string | undefined
}

/** Fields beside the file, in a form or in the address. */
const Fields = GenerateRequest.partial({ text: true })
const Options = GenerateRequest.omit({ text: true })

/** JSON may write a code point as two escapes of six bytes each. */
const JSON_BYTES_PER_CHAR = 12
const OTHER_FIELDS_BYTES = 4096

/** Decoding whole files of many minutes would hold up the event loop; a file that begins as sound is left to the stt service. */
const LOOKED_AT_BYTES = 1_048_576

/**
 * Reads a request by its content type. Throws `unsupported_content_type`, what reading a body throws, `empty_text`,
 * `text_too_long` (counted in code points), and what `decodeWav` throws.
 */
export async function readTurnRequest(c: Context, maxTextChars: number): Promise<TurnRequest> {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'multipart/form-data') return fromForm(await readForm(c), maxTextChars)
  if (/^audio\/|^application\/octet-stream$/.test(type)) return fromBytes(await readBytes(c), c.req.queries())
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type)) {
    requireShort(c, maxTextChars)
    return fromFields(await readJson(c, GenerateRequest), maxTextChars)
  }
  throw new AppError(
    'unsupported_content_type',
    `expected application/json, multipart/form-data or audio/wav, got ${type.slice(0, 80) || 'no content type'}`,
  )
}

/** A body that can't hold a text of this length is refused before it is read and parsed. */
function requireShort(c: Context, maxTextChars: number): void {
  const length = Number(c.req.header('content-length') ?? 0)
  if (length <= maxTextChars * JSON_BYTES_PER_CHAR + OTHER_FIELDS_BYTES) return
  throw new AppError('text_too_long', `text may have ${maxTextChars} characters, got a body of ${length} bytes`, {
    param: 'text',
  })
}

async function fromForm(form: FormData, maxTextChars: number): Promise<TurnRequest> {
  const names = new Set(form.keys())
  names.delete('file')
  const fields = check(Object.fromEntries([...names].map((name) => [name, oneField(form, name)])), Fields)
  const { text } = fields
  if (text === undefined) return fromFile(await fileBytes(form, 'file'), fields)
  if (!form.has('file')) return fromFields({ ...fields, text }, maxTextChars)
  throw new AppError('invalid_request', 'expected either a file or a text, got both', { param: 'text' })
}

function fromBytes(wav: Uint8Array, query: Record<string, string[]>): TurnRequest {
  const twice = Object.keys(query).find((name) => (query[name]?.length ?? 0) > 1)
  if (twice !== undefined) throw new AppError('duplicate_field', `expected ${twice} once`, { param: twice })
  const single = Object.entries(query).map(([name, values]) => [name, values[0]])
  return fromFile(wav, check(Object.fromEntries(single), Options))
}

function fromFile(wav: Uint8Array, { session, voice }: z.infer<typeof Options>): TurnRequest {
  decodeWav(wav.subarray(0, LOOKED_AT_BYTES))
  return { said: { wav }, session, voice }
}

function fromFields({ text, session, voice }: GenerateRequest, maxTextChars: number): TurnRequest {
  const param = 'text'
  const length = countCharacters(text)
  if (length > maxTextChars)
    throw new AppError('text_too_long', `text may have ${maxTextChars} characters, got ${length}`, { param })
  const visible = withoutControls(text)
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(visible))
    throw new AppError('empty_text', 'expected a text with at least one visible character', { param })
  return { said: { text: visible, model: null }, session, voice }
}

function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** Line breaks stay; other control characters become spaces, zero-width and bidi marks go. */
const withoutControls = (text: string): string =>
  text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n]/gu, ' ')
    .replace(/[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/gu, '')
    .trim()
