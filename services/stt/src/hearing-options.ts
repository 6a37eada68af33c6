/** A request's wishes as the engine takes them, checked against what the model can do. */
import { AppError } from '@hearth/shared/errors'
import type { Abilities } from './abilities.ts'
import { findLanguage, languageName } from '@hearth/shared/languages'
import type { TimestampKind } from './speech.ts'
import type { HearingOptions } from './transcribe.ts'
import type { TranscriptionRequest } from './transcription-request.ts'
import type { VoiceOptions } from './voice/speech-finder.ts'

/** Waits for what the model's files say, if it must. */
export type FindAbilities = () => Promise<Abilities>

/** Throws `invalid_request` for a language, a task, word times or a prompt that the model does not have or take. */
export async function hearingOptions(
  request: TranscriptionRequest,
  findAbilities: FindAbilities,
): Promise<HearingOptions> {
  const { task, prompt, hotwords, temperature } = request
  const timestamps = timestampKind(request)
  if (task === 'translate' && !(await findAbilities()).canTranslate)
    throw new AppError('invalid_request', 'model: expected one that knows several languages, to translate', {
      param: 'model',
    })
  if (timestamps === 'words' && !(await findAbilities()).canTimeWords)
    throw new AppError(
      'invalid_request',
      'timestamp_granularities: expected segment; word times need a model whose export has cross-attentions (…_timestamped)',
      { param: 'timestamp_granularities' },
    )
  for (const param of ['prompt', 'hotwords'] as const)
    if (request[param] !== undefined && !(await findAbilities()).canBePrompted)
      throw new AppError('invalid_request', `${param}: expected none; this model can not be prompted`, { param })
  return {
    language: await languageOf(request.language, findAbilities),
    task,
    timestamps,
    ...(prompt !== undefined && { prompt }),
    ...(hotwords !== undefined && { hotwords }),
    // 0 is where fallbacks begin, and what clients send that mean nothing by it.
    ...(temperature !== undefined && temperature > 0 && { temperature }),
  }
}

/** Times are only found where the reply shows them. */
function timestampKind({
  response_format: format,
  timestamp_granularities: kinds = [],
}: TranscriptionRequest): TimestampKind {
  if (format === 'json' || format === 'text') return 'none'
  return format === 'verbose_json' && kinds.includes('word') ? 'words' : 'segments'
}

/** The code that `name` means; null, to have it detected, when there is none. */
async function languageOf(name: string | undefined, findAbilities: FindAbilities): Promise<string | null> {
  if (name === undefined) return null
  const known = (await findAbilities()).languages
  const code = findLanguage(name, known)
  if (code !== undefined) return code
  const names = known.map((each) => `${each} (${languageName(each)})`).join(', ')
  throw new AppError('invalid_request', `language: expected a code or name the model knows: ${names}`, {
    param: 'language',
  })
}

/** How the caller wants speech to be found, of what OpenAI's `chunking_strategy` can say. */
export function voiceOptions({ chunking_strategy: chunking }: TranscriptionRequest): {
  voice: Partial<VoiceOptions>
  padSeconds?: number
} {
  if (chunking?.type !== 'server_vad') return { voice: {} }
  const { threshold, silence_duration_ms: silenceMs, prefix_padding_ms: paddingMs } = chunking
  return {
    voice: {
      ...(threshold !== undefined && { threshold }),
      ...(silenceMs !== undefined && { pauseSeconds: silenceMs / 1000 }),
    },
    ...(paddingMs !== undefined && { padSeconds: paddingMs / 1000 }),
  }
}
