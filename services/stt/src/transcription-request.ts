/** Reads what `POST /v1/audio/transcriptions` takes: OpenAI's form. */
import { AppError } from '@hearth/shared/errors'
import { TranscriptionFields } from '@hearth/shared/model-api'
import { check, fileBytes, oneField } from '@hearth/shared/request-body'
import type * as z from 'zod'

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = ['whisper-1', 'whisper', 'gpt-4o-transcribe', 'gpt-4o-mini-transcribe'] as const

export type TranscriptionRequest = z.infer<typeof TranscriptionFields> & { readonly file: Uint8Array }

/**
 * Throws `missing_file`, `unknown_field`, `duplicate_field`, `invalid_request`. Clients write lists as `name[]`, and some send
 * every field, empty where nothing is meant: those count as absent.
 */
export async function readTranscriptionRequest(form: FormData): Promise<TranscriptionRequest> {
  // Not an object yet: one would take a field called __proto__ in silence.
  const fields = new Map<string, string>()
  for (const key of new Set(form.keys())) {
    if (key === 'file') continue
    const isList = key.endsWith('[]')
    const value = isList ? form.getAll(key)[0] : oneField(form, key)
    const name = isList ? key.slice(0, -2) : key
    if (value !== undefined && typeof value !== 'string') {
      const shown = name.slice(0, 80)
      throw new AppError('invalid_request', `${shown}: expected text, got a file`, { param: shown })
    }
    if (value) fields.set(name, value)
  }
  const request = check(Object.fromEntries(fields), TranscriptionFields)
  return { ...request, file: await fileBytes(form, 'file') }
}
