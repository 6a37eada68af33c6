/** What `POST /v1/audio/transcriptions` takes: OpenAI's form fields, the bounds of each, and what is not available yet. */
import { AppError } from '@hearth/shared/errors'
import { check, fileBytes, oneField } from '@hearth/shared/request-body'
import * as z from 'zod'

const FORMATS = ['json', 'text'] as const

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = ['whisper-1', 'whisper', 'gpt-4o-transcribe', 'gpt-4o-mini-transcribe'] as const

const unavailable = (message: string) => z.never(message).optional()

/** Fields beside `file`. `prompt` and `temperature` are taken and have no effect; the reply says so in `x-ignored`. */
const Fields = z.strictObject({
  model: z.string().optional(),
  language: z.string().max(64).optional(),
  prompt: z.string().max(4096).optional(),
  response_format: z
    .enum(FORMATS, 'expected json or text; verbose_json, srt and vtt are not available here')
    .default('json'),
  temperature: z
    .string()
    .refine((value) => value.trim() !== '' && Number(value) >= 0 && Number(value) <= 1, 'expected a number from 0 to 1')
    .optional(),
  stream: z.literal('false', 'expected false; streaming is not available here').optional(),
  chunking_strategy: z.literal('auto', 'expected auto; other ways to cut are not available here').optional(),
  timestamp_granularities: unavailable('timestamps are not available here'),
  include: unavailable('log probabilities are not available here'),
})

export type TranscriptionRequest = z.infer<typeof Fields> & { readonly file: Uint8Array }

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
  const request = check(Object.fromEntries(fields), Fields)
  return { ...request, file: await fileBytes(form, 'file') }
}
