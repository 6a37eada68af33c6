/** `POST /generate`: a whole turn of a conversation. */
import { GenerateFields, GenerateReply, GenerateRequest } from '@hearth/shared/api'
import * as z from 'zod'
import { FormFields } from '../../generate-request.ts'
import { REALTIME_PATH, RealtimeQuery } from '../../realtime/realtime-route.ts'
import { FORM_ERRORS, JSON_ERRORS, WAV_ERRORS } from '../operation.ts'
import type { Theme } from '../operation.ts'
import { TURN_EVENTS } from '../replies.ts'

const WAV = z.file().describe('A recording: WAV, MP3, FLAC, Ogg, WebM, MP4 or AAC; its bytes tell which.')

const SOUND = z.file().describe('The reply, spoken.')

const TURN_HEADERS = {
  'x-turn': 'The turn, for `GET /turns/{id}`.',
  'x-session': 'The conversation it belongs to.',
  'x-ignored': 'Fields without effect on the language model that would answer.',
}

const SOUND_HEADERS = {
  ...TURN_HEADERS,
  'x-transcript':
    "With a whole WAV: what was heard, as RFC 8187 writes it (`UTF-8''Gr%C3%BC%C3%9Fe`), cut with an ellipsis at 4 KiB.",
  'x-reply': 'The same of the reply.',
  'x-timings': '`timings` as JSON.',
  'x-models': '`models` as JSON.',
  'x-degraded': '`degraded`, separated by commas.',
}

const GENERATE = `The input is one of three:

- JSON: \`text\`, or \`audio\` as base64, with options beside it;
- a multipart form: \`file\` or \`text\`, with options as fields;
- the bytes of a recording as they are (\`audio/*\` or \`application/octet-stream\`), with options in the address: \`?session=kitchen\`.

The answer is one of four, by \`Accept\` or \`response_format\`:

- JSON with everything, also the sound as base64;
- \`audio/wav\`: the sound, once it is whole, with everything else in headers;
- \`audio/pcm\` (s16le mono 24 kHz) or \`audio/wav;stream=true\`: the sound while it is made, from the first clause on. The headers of a whole WAV come behind it as trailers; \`GET /turns/{id}\` has the words from the start;
- \`text/event-stream\`: everything as it happens. The first sound leaves while the language model still writes.

The turns of one session wait for each other; those of different sessions don't. Silence gives 200 with an empty transcript and reply, and no sound. When the voice fails, JSON and events go on
without it (\`tts\` in \`degraded\`); a reply that is sound is then 502 \`stage_failed\`, or, after its first clause, a connection that is cut.

In a stream of events, what fails before the first one is answered as any error; after it there is an \`error\` event, and the end. Ten seconds without an event bring a comment line
(\`: still here\`), from then on with status 200. Leaving stops the work.

Memory is waited for 300 ms (\`MEMORY_BUDGET_MS\`), the first sound of a fragment 5 s (\`TTS_FIRST_BYTE_MS\`), a word of the language model 10 s (\`OLLAMA_STALL_MS\`, \`LLM_STALL_MS\`). A call that breaks off
before the first byte of an answer is made once more. Memory or a voice that failed five times in a row is left alone, and costs no time, until a probe in the background finds it well; what was said meanwhile is
remembered once memory is back. A language model that did not begin in time is 504 \`deadline_exceeded\`, one that is away 503 \`dependency_unavailable\`. An \`incomplete\` reply is not in the session’s history.

With \`tools\` the reply may end in \`tool_calls\`; send \`tools\` again beside their \`tool_results\`. A reply that is sound tells of them in \`GET /turns/{id}\` alone. The embedded model knows no tools and answers
plainly, which \`x-ignored\` says; a request that one server refuses goes to the next model of \`LLM_CHAIN\`.`

const REALTIME = `OpenAI's realtime protocol over WebSocket, in its GA form, or its beta form with \`OpenAI-Beta: realtime=v1\`: sound in, transcripts and spoken replies out, interruptions, functions.
Browsers may bring the API key as the subprotocol \`openai-insecure-api-key.<key>\`, beside \`realtime\`. docs/realtime.md has the events of Hearth's own, the limits and the close codes.`

export const TALK: Theme = {
  name: 'Talk',
  description: 'One call from speech to speech, or a live conversation.',
  operations: [
    {
      method: 'post',
      path: '/generate',
      id: 'generate',
      summary: 'Say something, and hear the reply',
      description: GENERATE,
      query: GenerateFields,
      headers: {
        accept:
          '`application/json` (also when left out), `audio/wav`, `audio/wav;stream=true`, `audio/pcm` or `text/event-stream`.',
      },
      body: {
        'application/json': GenerateRequest,
        'multipart/form-data': FormFields.extend({ file: WAV.optional() }),
        'audio/wav': WAV,
      },
      replies: {
        200: {
          description: 'The turn.',
          content: { 'application/json': GenerateReply, 'audio/wav': SOUND, 'audio/pcm': SOUND },
          events: TURN_EVENTS,
          headers: SOUND_HEADERS,
        },
      },
      errors: [
        ...new Set([...JSON_ERRORS, ...FORM_ERRORS]),
        ...WAV_ERRORS,
        'empty_text',
        'text_too_long',
        'voice_not_found',
        'session_not_found',
        'overloaded',
        'stage_failed',
        'dependency_unavailable',
        'deadline_exceeded',
      ],
      examples: [
        { title: 'In words', json: { text: 'What is my name?', session: 'kitchen' } },
        { title: 'Spoken', form: { file: '@models/speech/008.wav', session: 'kitchen' } },
        {
          title: 'The file itself, answered in sound',
          query: { session: 'kitchen', voice: 'alloy' },
          headers: { accept: 'audio/wav' },
          file: { name: 'models/speech/008.wav', type: 'audio/wav' },
          output: 'reply.wav',
        },
        {
          title: 'As it happens',
          headers: { accept: 'text/event-stream' },
          json: { text: 'Tell me a story.', instructions: 'You are a pirate.', max_tokens: 60 },
        },
      ],
    },
    {
      method: 'get',
      path: REALTIME_PATH,
      id: 'realtime',
      summary: 'A live conversation over WebSocket',
      description: REALTIME,
      query: RealtimeQuery,
      headers: { 'openai-beta': '`realtime=v1`: the beta form.' },
      replies: { 101: { description: 'The socket is open; the first event is `session.created`.' } },
      errors: ['upgrade_required', 'origin_not_allowed'],
      examples: [],
    },
  ],
}
