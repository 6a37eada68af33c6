/**
 * The STT service's HTTP surface: OpenAI's `POST /v1/audio/transcriptions` and `/v1/audio/translations`, their progress, and the list of models. Whatever
 * can be wrong with a request is found before it takes a place in the queue.
 */
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { PROGRESS_ID_HEADER } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { replyStream, requestSignal, setTimings } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { createModelApp } from '@hearth/shared/model-app'
import type { ModelAppOptions } from '@hearth/shared/model-app'
import type { ModelLease } from '@hearth/shared/model-seat'
import { readUpload } from '@hearth/shared/request-body'
import type { Context, Hono } from 'hono'
import type { Abilities } from './abilities.ts'
import type { ReadAudio } from './audio-file/decode-threads.ts'
import { HELD_SECONDS } from './audio-file/read-audio.ts'
import type { AudioLimits } from './audio-file/recording-length.ts'
import { hearingOptions, voiceOptions } from './hearing-options.ts'
import { ProgressBook } from './progress.ts'
import { Repeats } from './repeats.ts'
import { jsonOf, srtOf, textOf, verboseOf, vttOf } from './reply-formats.ts'
import type { Answer } from './reply-formats.ts'
import type { SpeechInput, Task, Transcript } from './speech.ts'
import { streamEvents } from './stream-reply.ts'
import { transcribe } from './transcribe.ts'
import type { Heard, HearingOptions, HeardPart } from './transcribe.ts'
import { MODEL_ALIASES, readTranscriptionRequest } from './transcription-request.ts'
import type { TranscriptionRequest } from './transcription-request.ts'
import { fixedChunks } from './voice/fixed-chunks.ts'
import { speechChunks } from './voice/speech-chunks.ts'

export type DecodeAudio = (
  bytes: Uint8Array<ArrayBuffer>,
  limits: AudioLimits,
  signal: AbortSignal,
) => Promise<ReadAudio>

/** The model as one request has it. */
type HearingModel = ModelLease<SpeechInput, Transcript, Abilities>

export type SttAppOptions = ModelAppOptions<SpeechInput, Transcript, Abilities> & {
  readonly decode: DecodeAudio
  readonly detectVoice: DetectVoice
  readonly maxSeconds: number
  readonly maxUploadBytes: number
  readonly cacheSeconds: number
}

const MIN_SECONDS = 0.1
/** Recordings that are decoded while they are heard have a thread of their own for as long: so many at once. */
const MAX_LONG = 2
/** A model that always hears 30 s is better given full windows; one that takes less loses nothing by a cut at each longer pause. */
const GAP_SECONDS = { whole: 5, fitted: 1 }
const WHOLE_WINDOW_SECONDS = 30
const SHORT_SAMPLES = 10 * 16_000

/** The service as a Hono app, without a server: the two routes, GET /v1/audio/progress/:id, GET /v1/models, /v1/models/:id. */
export function createSttApp(options: SttAppOptions): Hono<AppEnv> {
  const { app, use } = createModelApp(options, {
    service: 'stt',
    maxBodyBytes: options.maxUploadBytes,
    aliases: MODEL_ALIASES,
    task: 'automatic-speech-recognition',
    family: (abilities) => abilities?.family ?? '',
  })
  const hear = createHearing(options)
  const progress = new ProgressBook()
  const route = (task: Task) => async (c: Context<AppEnv>) => {
    const request = await readTranscriptionRequest(await readUpload(c, 'file'), task)
    const signal = requestSignal(c)
    const { parts: heard, seconds, isRepeat } = await hear(request, await use(c, request.model), signal)
    const parts = progress.follow(heard, c.req.header(PROGRESS_ID_HEADER), seconds)
    c.header('x-cache', isRepeat ? 'hit' : 'miss')
    if (request.stream) return streamed(c, await begun(parts), { ...request, seconds }, options)
    return answered(c, await lastOf(parts), request)
  }
  app.post('/v1/audio/transcriptions', route('transcribe'))
  app.post('/v1/audio/translations', route('translate'))
  app.get('/v1/audio/progress/:id', (c) => {
    const entry = progress.get(c.req.param('id'))
    if (!entry) throw new AppError('not_found', 'nothing is being heard under this name')
    return c.json(entry, 200, { 'cache-control': 'no-store' })
  })
  return app
}

type Parts = AsyncGenerator<HeardPart, Answer>

/** From a request to what was heard, piece by piece; from the cache where it can. */
function createHearing(options: SttAppOptions) {
  const { decode, maxSeconds, cacheSeconds } = options
  const repeats = new Repeats({ seconds: cacheSeconds })
  const state: State = { long: 0, wholeWindows: null }

  return async (request: TranscriptionRequest, model: HearingModel, signal: AbortSignal) => {
    const known = async () => {
      if (model.prepared === null) await model.ready(signal)
      return model.prepared ?? NONE
    }
    const wishes = await hearingOptions(request, known)
    const { file, task, vad_filter: isFiltered, chunking_strategy: chunking } = request
    const key = repeats.key(file, { ...wishes, isFiltered, chunking, model: keyOf(model) })
    const repeat = repeats.get(key)
    if (repeat) return { parts: repeated(repeat), seconds: repeat.seconds, isRepeat: true }
    const audio = await decode(file, { minSeconds: MIN_SECONDS, maxSeconds }, signal)
    const { seconds, warnings } = audio
    const heard = heardParts(audio, request, wishes, { ...options, model, state }, signal)
    const finish = (result: Heard | null): Answer => {
      const answer = { ...(result ?? nothing(wishes, model.status.id)), seconds, task, warnings }
      repeats.set(key, answer)
      return answer
    }
    return { parts: finished(heard, finish), seconds, isRepeat: false }
  }
}

/** What is said of a model that is ready and yet unknown. */
const NONE: Abilities = {
  family: null,
  languages: [],
  canTranslate: false,
  canTimeWords: false,
  canBePrompted: false,
  canMixLengths: false,
}

/** `wholeWindows`: the model that was last seen to hear 30 s even of short clips. */
type State = { long: number; wholeWindows: string | null }

async function* heardParts(
  { pieces, seconds }: ReadAudio,
  request: TranscriptionRequest,
  wishes: HearingOptions,
  { model, detectVoice, state }: SttAppOptions & { model: HearingModel; state: State },
  signal: AbortSignal,
): AsyncGenerator<HeardPart, Heard | null> {
  const isLong = seconds > HELD_SECONDS
  if (isLong && state.long >= MAX_LONG)
    throw new AppError('overloaded', `${MAX_LONG} long recordings are being heard`, { retryAfterMs: 10_000 })
  if (isLong) state.long++
  try {
    const maxGapSeconds = state.wholeWindows === keyOf(model) ? GAP_SECONDS.whole : GAP_SECONDS.fitted
    const chunks = request.vad_filter
      ? speechChunks(pieces, detectVoice, { ...voiceOptions(request), maxGapSeconds }, signal)
      : fixedChunks(pieces)
    const submit = async (input: SpeechInput, until: AbortSignal) => {
      const isShort = input.samples.length < SHORT_SAMPLES
      const answer = await model.submit(input, until)
      const isWhole = answer.output.windowSeconds >= WHOLE_WINDOW_SECONDS
      if (isWhole && isShort) state.wholeWindows = keyOf(model)
      return answer
    }
    return yield* transcribe(chunks, { options: wishes, submit, signal })
  } finally {
    if (isLong) state.long--
  }
}

async function* finished(
  parts: AsyncGenerator<HeardPart, Heard | null>,
  finish: (heard: Heard | null) => Answer,
): Parts {
  return finish(yield* parts)
}

async function* repeated(answer: Answer): Parts {
  yield* answer.parts
  return answer
}

/** Whose answer it is: of two revisions it may be another. */
const keyOf = ({ status: { id, revision } }: HearingModel): string => `${id}@${revision ?? ''}`

/** Nobody spoke, and no model was asked. */
const nothing = ({ language }: HearingOptions, model: string): Heard => ({
  parts: [],
  language: language ?? 'en',
  languageProbability: null,
  tokens: 0,
  promptTokens: 0,
  queueMs: 0,
  inferenceMs: 0,
  batchSize: 0,
  model,
})

async function lastOf(parts: Parts): Promise<Answer> {
  for (;;) {
    const { done, value } = await parts.next()
    if (done) return value
  }
}

/** The same parts once the first is there: what fails before it is answered as any error. */
async function begun(parts: Parts): Promise<Parts> {
  const first = await parts.next()
  async function* all(): Parts {
    if (first.done) return first.value
    try {
      yield first.value
      return yield* parts
    } finally {
      await parts.return(undefined as never)
    }
  }
  return all()
}

function answered(c: Context<AppEnv>, answer: Answer, request: TranscriptionRequest): Response {
  setTimings(c, answer)
  const format = request.response_format
  const hasWords = request.timestamp_granularities?.includes('word') ?? false
  if (request.timestamp_granularities && format !== 'verbose_json') c.header('x-ignored', 'timestamp_granularities')
  const forms = {
    json: () => c.json(jsonOf(answer)),
    verbose_json: () => c.json(verboseOf(answer, hasWords)),
    text: () => c.text(textOf(answer)),
    srt: () => c.body(srtOf(answer), 200, { 'content-type': 'application/x-subrip; charset=utf-8' }),
    vtt: () => c.body(vttOf(answer), 200, { 'content-type': 'text/vtt; charset=utf-8' }),
  }
  return forms[format]()
}

function streamed(
  c: Context<AppEnv>,
  parts: Parts,
  { seconds, response_format: format }: Pick<TranscriptionRequest, 'response_format'> & { seconds: number },
  { log }: SttAppOptions,
): Response {
  const events = streamEvents(parts, { seconds, hasSegments: format === 'verbose_json', requestId: c.get('requestId') })
  const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }
  return c.body(replyStream(c, events, log), 200, headers)
}
