/**
 * The STT service's HTTP surface: OpenAI's `POST /v1/audio/transcriptions`, and the list of models. Whatever can be wrong with
 * a request is found before it takes a place in the queue.
 */
import type { Transcription } from '@hearth/shared/api'
import { durationSeconds, resampleInTurns } from '@hearth/shared/audio'
import { AppError } from '@hearth/shared/errors'
import { requestSignal, setTimings } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { createModelApp } from '@hearth/shared/model-app'
import type { ModelAppOptions } from '@hearth/shared/model-app'
import { readForm } from '@hearth/shared/request-body'
import { decodeWav } from '@hearth/shared/wav'
import type { Hono } from 'hono'
import type { SpeechInput, Transcript } from './speech.ts'
import { findLanguage, languageName } from '@hearth/shared/languages'
import { transcribe } from './transcribe.ts'
import { MODEL_ALIASES, readTranscriptionRequest } from './transcription-request.ts'

export type SttAppOptions = ModelAppOptions<SpeechInput, Transcript> & {
  /** Codes of the languages the model knows; null until its files are there. */
  readonly languages: () => readonly string[] | null
  readonly maxSeconds: number
  readonly maxUploadBytes: number
}

const SAMPLE_RATE_HZ = 16_000

/** The service as a Hono app, without a server: POST /v1/audio/transcriptions, GET /v1/models, /v1/models/:id. */
export function createSttApp(options: SttAppOptions): Hono<AppEnv> {
  const { model, maxSeconds, maxUploadBytes } = options
  const { app, requireModel } = createModelApp(options, {
    service: 'stt',
    maxBodyBytes: maxUploadBytes,
    aliases: MODEL_ALIASES,
    task: 'automatic-speech-recognition',
  })

  app.post('/v1/audio/transcriptions', async (c) => {
    const request = await readTranscriptionRequest(await readForm(c))
    requireModel(request.model)
    const audio = decodeWav(request.file, { maxSeconds })
    const seconds = durationSeconds(audio)
    const signal = requestSignal(c)
    const { samples } = await resampleInTurns(audio, SAMPLE_RATE_HZ, signal)
    const language = await chooseLanguage(request.language, options, signal)
    const heard = await transcribe(samples, language, (input, until) => model.submit(input, until), signal)
    setTimings(c, heard)
    const ignored = (['prompt', 'temperature'] as const).filter((field) => request[field] !== undefined)
    if (ignored.length > 0) c.header('x-ignored', ignored.join(', '))
    if (request.response_format === 'text') return c.text(heard.text)
    const reply: Transcription = {
      text: heard.text,
      language: languageName(heard.language),
      model: heard.model,
      // OpenAI counts begun seconds.
      usage: { type: 'duration', seconds: Math.ceil(seconds) },
    }
    return c.json(reply)
  })

  return app
}

/** The code that `name` means; null, to have it detected, when there is none. Waits for the model's files if it must. */
async function chooseLanguage(
  name: string | undefined,
  { model, languages }: SttAppOptions,
  signal: AbortSignal,
): Promise<string | null> {
  if (name === undefined) return null
  if (languages() === null) await model.ready(signal)
  const known = languages() ?? []
  const code = findLanguage(name, known)
  if (code !== undefined) return code
  const names = known.map((each) => `${each} (${languageName(each)})`).join(', ')
  throw new AppError('invalid_request', `language: expected a code or name the model knows: ${names}`, {
    param: 'language',
  })
}
