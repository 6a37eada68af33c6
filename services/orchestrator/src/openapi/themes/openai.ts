/** The routes that OpenAI's clients know: chat, and those of the model services, which this address passes on. */
import { Transcription } from '@hearth/shared/api'
import {
  AudioModelList,
  EmbeddingRequest,
  ModelEntry,
  ModelList,
  SpeechRequest,
  TranscriptionFields,
  VoiceList,
} from '@hearth/shared/model-api'
import * as z from 'zod'
import { FORM_ERRORS, JSON_ERRORS, WAV_ERRORS } from '../operation.ts'
import type { Operation, Theme } from '../operation.ts'
import { AnyEmbeddingsReply } from '../replies.ts'
import { CHAT } from './chat.ts'

const SOUND = z.file().describe('The sound.')

const SERVICE_HEADERS = {
  'x-model': 'Which model answered.',
  'x-queue-time': 'Milliseconds that the request waited for it.',
  'x-inference-time': 'Milliseconds that it computed.',
  'x-batch-size': 'With how many requests together.',
}
const IGNORED = { 'x-ignored': 'Fields of the request that had no effect.' }

const SERVICE_ERRORS = [
  'model_not_found',
  'overloaded',
  'model_loading',
  'model_failed',
  'engine_failed',
  'draining',
] as const
const PASSED_ON = [...SERVICE_ERRORS, 'dependency_unavailable'] as const

const RECORDING = z
  .file()
  .describe('A recording: WAV, MP3, FLAC, Ogg (Opus, Vorbis), WebM, MP4 or AAC; its bytes tell which, never its name.')

const transcriptReplies = {
  200: {
    description: 'What was heard.',
    content: {
      'application/json': Transcription,
      'text/plain': z.string().describe('`text`, `srt` or `vtt`.'),
      'text/event-stream': z
        .string()
        .describe(
          'With `stream`: `transcript.text.delta` for each piece, `transcript.text.done` with the usage, `[DONE]`.',
        ),
    },
    headers: { ...SERVICE_HEADERS, 'x-cache': '`hit` when the very same was heard a moment ago, else `miss`.' },
  },
}

const TRANSCRIPTIONS = `OpenAI’s form. At most \`STT_MAX_SECONDS\` of sound and \`STT_MAX_UPLOAD_BYTES\`; both count what there is, not what a header says. Silence, hum, tones and room noise give an empty text.

\`verbose_json\` adds \`task\`, \`duration\`, \`language_code\`, \`language_probability\`, \`segments\` with times and scores and, when asked for, \`words\`, which need an export with cross-attentions (\`…_timestamped\`), else 400. A Moonshine model hears English only; word times, translation, \`prompt\` and \`hotwords\` are 400 with it.

A stream has \`transcript.text.delta\` for each chunk of up to 30 s as soon as it is certain, with \`verbose_json\` \`transcript.text.segment\` too, for recordings of a minute or more \`transcript.progress\` \`{seconds, total_seconds}\`, then
\`transcript.text.done\` and \`[DONE]\`. A failure after the first event is an event with the one error body. Leaving stops the work. Two recordings of more than ten minutes are heard at once; a third gets 429. The same recording (up to
4 MiB) with the same wishes is answered from a cache for \`STT_CACHE_SECONDS\`.

**Live.** A WebSocket at \`/\` of the stt service speaks WhisperLive’s protocol, so its clients work: the greeting as JSON text (each field may be left out), then mono samples at 16 kHz as binary messages, then \`END_OF_AUDIO\`. \`segments\` come
while somebody speaks (\`completed: false\`), and when the utterance ends it is heard once more, whole (\`completed: true\`, with \`source: "whole"\`). After the end of audio the last ones come completed, and the socket is closed with 1000. Other
close codes: 1001 the service stops, 1009 a message above 1 MiB, 1013 after \`WAIT\` (more than \`STT_LIVE_MAX_CLIENTS\`), 4400 no greeting that can be read, 4408 no greeting within 5 s, a minute without sound, or \`STT_LIVE_MAX_SECONDS\` over, 4429 a
reader too slow, 4500 the engine failed. Pages of other origins are refused with 403.`

const transcriptions: Operation = {
  method: 'post',
  path: '/v1/audio/transcriptions',
  id: 'transcribe',
  summary: 'Speech to text',
  description: TRANSCRIPTIONS,
  body: { 'multipart/form-data': TranscriptionFields.extend({ file: RECORDING }) },
  replies: transcriptReplies,
  errors: [...FORM_ERRORS, ...WAV_ERRORS, ...PASSED_ON],
  examples: [
    { form: { file: '@models/speech/008.wav', model: 'whisper-1' } },
    { title: 'The text alone', form: { file: '@models/speech/008.wav', language: 'en', response_format: 'text' } },
  ],
}

const translations: Operation = {
  method: 'post',
  path: '/v1/audio/translations',
  id: 'translate',
  summary: 'Speech to English text',
  description: 'The same form and the same replies; for models that can translate, else 400.',
  body: { 'multipart/form-data': TranscriptionFields.extend({ file: RECORDING }) },
  replies: transcriptReplies,
  errors: [...FORM_ERRORS, ...WAV_ERRORS, ...PASSED_ON],
  examples: [{ form: { file: '@models/speech/008.wav', model: 'whisper-1' } }],
}

const SPEECH = `OpenAI’s body. Markdown and emoji are left out; in English, money, times, dates, units, abbreviations and addresses are said in words.

Events are \`speech.audio.delta\` and \`speech.audio.done\`; with \`timestamps\` also \`speech.audio.words\` (\`words\`: \`word\`, \`start\`, \`end\` in seconds; \`estimated\` when the model gives no durations: half of them are then within 0.1 s,
95 of 100 within 0.4 s). What \`espeak\` speaks, and everything while Kokoro can’t be loaded, has \`espeak-ng\` in \`x-model\` and in \`/ready\`. A voice speaks its own language: English (a, b), Spanish (e), French (f), Hindi (h), Italian (i),
Brazilian (p); Japanese and Mandarin can’t be read here. OpenAI’s names stand for \`alloy\` af_alloy, \`ash\` am_michael, \`ballad\` bm_lewis, \`cedar\` am_adam, \`coral\` af_bella, \`echo\` am_echo, \`fable\` bm_fable, \`marin\` af_heart, \`nova\` af_nova,
\`onyx\` am_onyx, \`sage\` af_sarah, \`shimmer\` af_sky, \`verse\` am_puck.`

const speech: Operation = {
  method: 'post',
  path: '/v1/audio/speech',
  id: 'speak',
  summary: 'Text to speech',
  description: SPEECH,
  body: { 'application/json': SpeechRequest },
  replies: {
    200: {
      description: 'The sound.',
      content: {
        'audio/mpeg': SOUND,
        'audio/ogg': SOUND,
        'audio/aac': SOUND,
        'audio/flac': SOUND,
        'audio/wav': SOUND,
        'audio/pcm': SOUND,
        'text/event-stream': z.string().describe('With `stream_format: "sse"`.'),
        'application/x-ndjson': z.string().describe('With `timestamps`.'),
      },
      headers: { ...SERVICE_HEADERS, ...IGNORED },
    },
  },
  errors: [...JSON_ERRORS, 'empty_text', 'nothing_to_speak', 'text_too_long', 'voice_not_found', ...PASSED_ON],
  examples: [{ json: { input: 'The kettle is on.', voice: 'alloy' }, output: 'speech.mp3' }],
}

const embeddings: Operation = {
  method: 'post',
  path: '/v1/embeddings',
  id: 'embed',
  summary: 'Texts to vectors',
  description: 'OpenAI’s body.',
  body: { 'application/json': EmbeddingRequest },
  replies: {
    200: {
      description: 'A vector of length 1 for each text.',
      content: { 'application/json': AnyEmbeddingsReply },
      headers: SERVICE_HEADERS,
    },
  },
  errors: [...JSON_ERRORS, 'empty_text', 'input_too_long', 'batch_too_large', ...PASSED_ON],
  examples: [{ json: { input: ['My name is Anna.', 'The kettle is on.'] } }],
}

const lists: Operation[] = [
  {
    method: 'get',
    path: '/v1/audio/voices',
    id: 'listVoices',
    summary: 'The voices that can speak',
    replies: { 200: { description: 'All of them.', content: { 'application/json': VoiceList } } },
    errors: ['model_loading', 'model_failed', 'dependency_unavailable'],
    isOpen: true,
    examples: [{}],
  },
  {
    method: 'get',
    path: '/v1/audio/models',
    id: 'listSpeechModels',
    summary: 'The models that can speak, for Open WebUI',
    replies: { 200: { description: 'All of them.', content: { 'application/json': AudioModelList } } },
    errors: ['dependency_unavailable'],
    isOpen: true,
    examples: [{}],
  },
  {
    method: 'get',
    path: '/v1/models',
    id: 'listModels',
    summary: 'The language model and those of all services',
    replies: {
      200: {
        description: 'Those that answer.',
        content: { 'application/json': ModelList },
        headers: { 'x-degraded': 'Services that are away.' },
      },
    },
    errors: [],
    examples: [{}],
  },
  {
    method: 'get',
    path: '/v1/models/{id}',
    id: 'readModel',
    summary: 'One of them',
    parameters: { id: 'Its id, slashes and all.' },
    replies: { 200: { description: 'The model.', content: { 'application/json': ModelEntry } } },
    errors: ['model_not_found', 'dependency_unavailable'],
    examples: [{ path: { id: 'whisper-1' } }],
  },
]

const DESCRIPTION = `One base URL, \`http://localhost:8080/v1\`, is enough for OpenAI's clients. Chat is answered here; everything else is passed on to the service that has it, piece by piece in both directions, and
replies and errors are the service's own. Each service answers the same paths on its own port too: stt 8081, tts 8082, embeddings 8083. There it also loads, unloads and exchanges its model: docs/models.md.

The whole time of the service is in \`server-timing\` under \`stt\`, \`tts\` or \`embeddings\`. \`Authorization\` and cookies are not passed on. A service that is away, or sends no byte for 150 s, is 503
\`dependency_unavailable\` with its name in \`stage\`. An upload may be as large as \`STT_MAX_UPLOAD_BYTES\` (64 MiB), or \`ORCHESTRATOR_MAX_UPLOAD_BYTES\` if that is more.`

export const OPENAI: Theme = {
  name: 'OpenAI',
  description: DESCRIPTION,
  operations: [CHAT, transcriptions, translations, speech, embeddings, ...lists],
}
