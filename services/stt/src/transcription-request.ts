/** Reads what `POST /v1/audio/transcriptions` and `/v1/audio/translations` take: OpenAI's form, and some fields of others. */
import { AppError } from '@hearth/shared/errors'
import { TranscriptionFields } from '@hearth/shared/model-api'
import { check, fileBytes, oneField } from '@hearth/shared/request-body'
import * as z from 'zod'
import type { Task } from './speech.ts'

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = ['whisper-1', 'whisper', 'gpt-4o-transcribe', 'gpt-4o-mini-transcribe'] as const

export type TranscriptionRequest = z.infer<typeof TranscriptionFields> & {
  readonly task: Task
  /** Alone in its memory. */
  readonly file: Uint8Array<ArrayBuffer>
}

/** `file` when it was taken out of the form. */
type Upload = { readonly form: FormData; readonly file: Uint8Array<ArrayBuffer> | null }

const LISTS = new Set(['timestamp_granularities', 'include'])

/**
 * Throws `missing_file`, `unknown_field`, `duplicate_field`, `invalid_request`. Clients write lists as `name[]`, objects as `name[key]` or as
 * JSON, and some send every field, empty where nothing is meant: those count as absent.
 */
export async function readTranscriptionRequest({ form, file }: Upload, task: Task): Promise<TranscriptionRequest> {
  // Not an object yet: one would take a field called __proto__ in silence.
  const fields = new Map<string, unknown>()
  const chunking = new Map<string, unknown>()
  for (const key of new Set(form.keys())) {
    if (key === 'file') continue
    const [, name = key, inner] = /^([^[]*)\[(\w*)\]$/.exec(key) ?? []
    const values = textsOf(form, key, LISTS.has(name))
    if (values.length === 0) continue
    if (name === 'chunking_strategy') chunking.set(inner || 'type', values[0])
    else if (LISTS.has(name)) fields.set(name, [...listOf(fields.get(name)), ...values])
    else fields.set(inner === undefined || inner === '' ? name : key, values[0])
  }
  if (chunking.size > 0) fields.set('chunking_strategy', unpacked(chunking))
  const request = check(Object.fromEntries(fields), TranscriptionFields)
  if (request.stream && (request.response_format === 'srt' || request.response_format === 'vtt'))
    throw new AppError('invalid_request', 'response_format: expected json, text or verbose_json for a stream', {
      param: 'response_format',
    })
  const inForm = await fileBytes(form, 'file')
  return { ...request, task, file: file ?? inForm }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** The texts of a field that are not empty. */
function textsOf(form: FormData, key: string, isList: boolean): string[] {
  const values = isList || key.endsWith('[]') ? form.getAll(key) : [oneField(form, key)]
  const [first] = values.filter((value) => value !== undefined && typeof value !== 'string')
  if (first !== undefined) {
    const shown = key.slice(0, 80)
    throw new AppError('invalid_request', `${shown}: expected text, got a file`, { param: shown })
  }
  return values.filter((value) => typeof value === 'string').filter((value) => value !== '')
}

/** Some clients send the object as JSON. */
function unpacked(parts: ReadonlyMap<string, unknown>): unknown {
  const type = parts.get('type')
  if (typeof type !== 'string' || !type.startsWith('{')) return Object.fromEntries(parts)
  try {
    const parsed = z.record(z.string(), z.coerce.string()).parse(JSON.parse(type))
    return { ...parsed }
  } catch {
    throw new AppError('invalid_request', 'chunking_strategy: expected auto or an object', {
      param: 'chunking_strategy',
    })
  }
}
