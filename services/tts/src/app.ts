/**
 * The TTS service's HTTP surface: OpenAI's `POST /v1/audio/speech`, and the lists that its clients read. Everything
 * that can be refused is refused before the first byte of sound; after it a failure can only cut the connection.
 */
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { replyStream, requestSignal, setTimings } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { SpeechRequest } from '@hearth/shared/model-api'
import type { AudioModelList, VoiceList } from '@hearth/shared/model-api'
import { createModelApp } from '@hearth/shared/model-app'
import type { ModelAppOptions } from '@hearth/shared/model-app'
import { readJson } from '@hearth/shared/request-body'
import type { Hono } from 'hono'
import { fragmentsOf } from './fragments.ts'
import type { Speech, SpeechInput } from './speech.ts'
import { PhraseCache } from './phrase-cache.ts'
import { speak } from './speak.ts'
import type { SpokenFragment } from './speak.ts'
import { EVENT_LINES, soundBytes, speechEvents } from './speech-reply.ts'
import type { Utterance } from './speech-reply.ts'
import { MODEL_ALIASES, voiceName } from './speech-request.ts'
import { ESPEAK_NAMES, Speakers } from './speakers.ts'
import type { Speaker, StandIn } from './speakers.ts'
import { SOUND_FORMATS } from './sound-format.ts'
import { checkText } from './text.ts'
import { chooseVoice, languageOfMix } from './voice-mix.ts'
import { languageOf, nearestVoice, voiceTitle } from './voices.ts'

export type TtsAppOptions = ModelAppOptions<SpeechInput, Speech, readonly string[]> & {
  /** Speaks when asked for, and while `model` has failed. */
  readonly standIn: StandIn
  /** The voices there are thought to be until the model's files say it. */
  readonly knownVoices: readonly string[]
  /** Spoken with when a request names no voice; if it is not there, the nearest one. */
  readonly defaultVoice: string
  /** Longest input in code points. */
  readonly maxChars: number
  readonly phraseCacheBytes: number
}

/** JSON may write a code point as two escapes of six bytes each. */
const BYTES_PER_CHAR = 12
const OTHER_FIELDS_BYTES = 32_768

/** The service as a Hono app, without a server: POST /v1/audio/speech, GET /v1/audio/voices, /v1/audio/models, /v1/models. */
export function createTtsApp(options: TtsAppOptions): Hono<AppEnv> {
  const { log, slot, knownVoices } = options
  const speakers = new Speakers(servedBy(options), options.standIn)
  const phrases = new PhraseCache(options.phraseCacheBytes)
  const { app, use } = createModelApp(
    { ...options, status: () => speakers.status },
    {
      service: 'tts',
      maxBodyBytes: options.maxChars * BYTES_PER_CHAR + OTHER_FIELDS_BYTES,
      aliases: [...MODEL_ALIASES, ...ESPEAK_NAMES],
      task: 'text-to-speech',
      family: () => 'style_text_to_speech_2',
    },
  )

  app.post('/v1/audio/speech', async (c) => {
    const request = await readJson(c, SpeechRequest)
    checkText(request.input, options.maxChars)
    const main = await use(c, request.model)
    const speaker = await speakers.choose(request.model, requestSignal(c), main)
    const voice = chooseVoice(voiceName(request.voice), {
      voices: main.prepared ?? knownVoices,
      defaultVoice: options.defaultVoice,
    })
    if (request.instructions !== undefined) c.header('x-ignored', 'instructions')

    const submit = phrases.before((input, signal) => speaker.submit(input, signal), keyOf(speaker.status))
    const fragments = fragmentsOf(request.input, languageOfMix(voice))
    if (!fragments.some(({ text }) => text !== '')) throw nothingToSpeak()
    const spoken = speak(fragments, { voice, speed: request.speed }, submit, requestSignal(c))
    const first = await firstSound(spoken)
    setTimings(c, first)
    const [bytes, type] = replyOf({ first, rest: spoken }, request)
    return c.body(replyStream(c, bytes, log), 200, { 'content-type': type })
  })

  app.get('/v1/audio/voices', async (c) => {
    // A list is not worth loading a model for.
    if (slot.status.state !== 'idle') await speakers.ready(requestSignal(c))
    const voices = slot.prepared ?? knownVoices
    const chosen = nearestVoice(options.defaultVoice, voices)
    const told = (id: string) => ({ id, name: voiceTitle(id), language: languageOf(id), default: id === chosen })
    return c.json({ voices: voices.map(told) } satisfies VoiceList)
  })
  app.get('/v1/audio/models', (c) =>
    c.json({ models: [{ id: speakers.status.id }, { id: 'kokoro' }, { id: 'espeak' }] } satisfies AudioModelList),
  )

  return app
}

/** The slot as one speaker among two: whatever model sits there. */
const servedBy = ({ slot, status = () => slot.status }: TtsAppOptions): Speaker => ({
  get status() {
    return status()
  },
  ready: (signal) => slot.ready(signal),
  submit: (input, signal) => slot.submit(input, signal),
})

/** Whose sound a phrase in the cache is: of two revisions it may be another. */
const keyOf = ({ id, revision }: ModelStatus): string => `${id}@${revision ?? ''}`

/** The reply's bytes and their media type. */
function replyOf(utterance: Utterance, request: SpeechRequest): [AsyncGenerator<Uint8Array, void>, string] {
  const { response_format: format, stream_format: stream, timestamps } = request
  if (stream === 'audio' && !timestamps) return [soundBytes(utterance, format), SOUND_FORMATS[format].mediaType]
  const lines = stream === 'sse' ? 'sse' : 'jsonl'
  return [speechEvents(utterance, { format, lines, withWords: timestamps }), EVENT_LINES[lines].mediaType]
}

/** The first fragment that has a sound. Throws `nothing_to_speak` when none has. */
async function firstSound(spoken: AsyncGenerator<SpokenFragment, void>): Promise<SpokenFragment> {
  for (let next = await spoken.next(); !next.done; next = await spoken.next())
    if (next.value.bytes.length > 0) return next.value
  throw nothingToSpeak()
}

const nothingToSpeak = (): AppError =>
  new AppError('nothing_to_speak', 'input has no letter or digit that this voice can say', { param: 'input' })
