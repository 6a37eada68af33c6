/**
 * What `POST /generate` takes, in three forms: JSON with a text or a sound, a multipart form, or the bytes of the file itself. The options beside
 * them are the same everywhere. Everything that can be refused is refused here, before any other service is asked.
 */
import { GenerateFields, GenerateRequest } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { check, fileBytes, oneField, readBytes, readForm, readJson } from '@hearth/shared/request-body'
import type { Context } from 'hono'
import { decodeBase64 } from './base64.ts'
import { detectLanguage } from './detect-language.ts'
import { requireSound } from './sound-input.ts'
import type { TurnInput } from './turn-events.ts'

/** What to say to, and the client's options by their own names. */
export type TurnRequest = {
  readonly said: TurnInput['said'] | { readonly toolResults: ToolResults }
  readonly options: GenerateFields & Pick<GenerateRequest, 'tools' | 'tool_results'>
}
type ToolResults = NonNullable<GenerateRequest['tool_results']>

/** Fields beside the file, in a form. */
export const FormFields = GenerateRequest.omit({ audio: true, tools: true, tool_results: true })

/** Of all results together, in UTF-16 units. */
const MAX_RESULT_CHARS = 65_536

/**
 * Reads a request by its content type. Throws `unsupported_content_type`, what reading a body throws, `empty_text`,
 * `text_too_long` (counted in code points), and what `requireSound` throws.
 */
export async function readTurnRequest(c: Context, maxTextChars: number): Promise<TurnRequest> {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'multipart/form-data') return fromForm(await readForm(c), maxTextChars)
  if (/^audio\/|^application\/octet-stream$/.test(type)) return fromBytes(await readBytes(c), c.req.queries())
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type)) return fromJson(await readJson(c, GenerateRequest), maxTextChars)
  throw new AppError(
    'unsupported_content_type',
    `expected application/json, multipart/form-data or audio/wav, got ${type.slice(0, 80) || 'no content type'}`,
  )
}

function fromJson({ text, audio, ...options }: GenerateRequest, maxTextChars: number): TurnRequest {
  const { tool_results: results } = options
  requireShort(results)
  if (results !== undefined && text === undefined && audio === undefined)
    return { said: { toolResults: results }, options }
  if (results !== undefined)
    throw new AppError('invalid_request', 'expected either tool_results or something that is said, got both', {
      param: 'tool_results',
    })
  if (text !== undefined && audio === undefined) return { said: words(text, maxTextChars), options }
  if (audio !== undefined && text === undefined) return { said: soundOf(audio), options }
  const got = text === undefined ? 'neither' : 'both'
  throw new AppError('invalid_request', `expected either a text or an audio, got ${got}`, { param: 'text' })
}

async function fromForm(form: FormData, maxTextChars: number): Promise<TurnRequest> {
  const names = new Set(form.keys())
  names.delete('file')
  const fields = Object.fromEntries([...names].map((name) => [name, oneField(form, name)]))
  const { text, ...options } = check(fromTexts(fields), FormFields)
  if (text === undefined) return { said: sound(await fileBytes(form, 'file')), options }
  if (!form.has('file')) return { said: words(text, maxTextChars), options }
  throw new AppError('invalid_request', 'expected either a file or a text, got both', { param: 'text' })
}

function fromBytes(wav: Uint8Array, query: Record<string, string[]>): TurnRequest {
  const twice = Object.keys(query).find((name) => (query[name]?.length ?? 0) > 1)
  if (twice !== undefined) throw new AppError('duplicate_field', `expected ${twice} once`, { param: twice })
  const fields = Object.fromEntries(Object.entries(query).map(([name, values]) => [name, values[0]]))
  return { said: sound(wav), options: check(fromTexts(fields), GenerateFields) }
}

const readFlag = (text: string): unknown => (text === 'true' ? true : text === 'false' ? false : text)
const readNumber = (text: string): unknown => (/^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text)
const READERS = new Map([
  ['speak', readFlag],
  ['remember', readFlag],
  ['max_tokens', readNumber],
  ['temperature', readNumber],
])

/** Fields of a form or an address are texts; what isn't readable as what it should be is left for the schema to refuse. */
const fromTexts = (fields: Record<string, unknown>): unknown =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const read = READERS.get(name)
      return [name, read && typeof value === 'string' ? read(value) : value]
    }),
  )

function sound(wav: Uint8Array): TurnInput['said'] {
  requireSound(wav)
  return { wav }
}

/** The field is named in what is wrong with the file in it. */
function soundOf(audio: string): TurnInput['said'] {
  try {
    return sound(fromBase64(audio))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, error.message, { cause: error.cause, param: 'audio' })
  }
}

function fromBase64(text: string): Uint8Array {
  const bytes = decodeBase64(text)
  if (bytes) return bytes
  throw new AppError('invalid_request', 'audio: expected base64 without line breaks')
}

/** A session keeps them, and the language model reads them all. */
function requireShort(results: ToolResults = []): void {
  const length = results.reduce((sum, { content }) => sum + content.length, 0)
  if (length <= MAX_RESULT_CHARS) return
  const message = `tool_results may have ${MAX_RESULT_CHARS} characters together, got ${length}`
  throw new AppError('text_too_long', message, { param: 'tool_results' })
}

function words(text: string, maxTextChars: number): TurnInput['said'] {
  const param = 'text'
  const length = countCharacters(text)
  if (length > maxTextChars)
    throw new AppError('text_too_long', `text may have ${maxTextChars} characters, got ${length}`, { param })
  const visible = withoutControls(text)
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(visible))
    throw new AppError('empty_text', 'expected a text with at least one visible character', { param })
  return { text: visible, model: null, language: detectLanguage(visible) }
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
