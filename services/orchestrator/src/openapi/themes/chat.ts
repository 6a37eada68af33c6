/** `POST /v1/chat/completions`: OpenAI's chat, which may be heard and spoken. */
import * as z from 'zod'
import { ChatRequest } from '../../chat-request.ts'
import { JSON_ERRORS, WAV_ERRORS } from '../operation.ts'
import type { Operation } from '../operation.ts'
import { ChatChunk, ChatReply, ErrorReply } from '../replies.ts'

const DESCRIPTION = `OpenAI's body and answer, whole or with \`stream: true\`. It keeps no session and no memory: the client sends the whole conversation, which ends with the user. Unknown fields are ignored.

- A sound is heard once; sent again within an hour, its words are still known. At most 262,144 characters and 32 sounds.
- \`modalities: ["text", "audio"]\` with \`audio: {voice, format}\` gives a spoken reply. In a stream, \`delta.audio\` brings \`{id}\`, then \`{transcript}\` and \`{data}\` as they are made, then \`{expires_at}\`. For an hour a later message may be \`{"role": "assistant", "audio": {"id": "…"}}\`.
- What is not available (\`n\` above 1, images, other formats of sound, other response formats) gets 400 \`invalid_request\`.
- A stream that fails after it has begun ends with \`data: {"error": …}\`, which OpenAI's clients raise, and without \`[DONE]\`.`

export const CHAT: Operation = {
  method: 'post',
  path: '/v1/chat/completions',
  id: 'chat',
  summary: 'The language model, with ears and a voice',
  description: DESCRIPTION,
  body: { 'application/json': ChatRequest },
  replies: {
    200: {
      description: 'The reply.',
      content: { 'application/json': ChatReply },
      events: { message: z.union([ChatChunk, ErrorReply, z.literal('[DONE]')]) },
      headers: { 'x-model': 'Who wrote it.', 'x-ignored': 'Fields of the request that had no effect.' },
    },
  },
  errors: [
    ...JSON_ERRORS,
    ...WAV_ERRORS,
    'empty_text',
    'text_too_long',
    'voice_not_found',
    'overloaded',
    'stage_failed',
    'dependency_unavailable',
    'deadline_exceeded',
  ],
  examples: [
    {
      title: 'In words',
      json: {
        model: 'hearth',
        messages: [
          { role: 'system', content: 'You are kind.' },
          { role: 'user', content: 'What is my name?' },
        ],
      },
    },
    {
      title: 'Spoken, while it is made',
      json: {
        model: 'hearth',
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Good morning.' }] }],
        modalities: ['text', 'audio'],
        audio: { voice: 'alloy', format: 'pcm16' },
        stream: true,
      },
    },
  ],
}
