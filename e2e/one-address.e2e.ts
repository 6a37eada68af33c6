/** Everything that OpenAI's own client asks for, from the orchestrator's address alone. */
import { createReadStream } from 'node:fs'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { measure, recording, recordingPath, transcriptOf } from './spoken.ts'
import { startStack } from './stack.ts'
import type { Stack } from './stack.ts'

let stack: Stack
let client: OpenAI

beforeAll(async () => {
  stack = await startStack()
  const baseURL = `${stack.url.orchestrator}/v1`
  client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0, timeout: 30_000 })
})
afterAll(() => stack?.stop())

const NAME = [
  { role: 'user' as const, content: 'My name is Anna.' },
  { role: 'assistant' as const, content: 'Okay, I will remember that your name is Anna.' },
]
const QUESTION = { role: 'user' as const, content: 'What is my name?' }
const model = 'gpt-4o-audio-preview'

const spokenQuestion = async (name: string) => ({
  role: 'user' as const,
  content: [
    {
      type: 'input_audio' as const,
      input_audio: {
        data: Buffer.from(await recording(name).arrayBuffer()).toString('base64'),
        format: 'wav' as const,
      },
    },
  ],
})

test('transcribes a file that is streamed up', async () => {
  const file = createReadStream(recordingPath('011.wav'))
  const { text } = await client.audio.transcriptions.create({ file, model: 'whisper-1' })
  expect(wordErrorRate([[transcriptOf('011.wav'), text]])).toBeLessThanOrEqual(0.25)
})

test('speaks and embeds', async () => {
  const request = { model: 'tts-1', voice: 'alloy', input: 'Open the window.', response_format: 'wav' } as const
  const spoken = await client.audio.speech.create(request)
  expect(measure(new Uint8Array(await spoken.arrayBuffer())).seconds).toBeGreaterThan(0.3)
  const { data } = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'] })
  expect(data).toHaveLength(2)
})

const SPEECH = { model: 'tts-1', voice: 'nova', input: 'Good morning, Anna, my dear. Open the window.' } as const

test.each([
  [undefined, 'audio/mpeg', /^\xff[\xf2\xf3]/],
  ['mp3', 'audio/mpeg', /^\xff[\xf2\xf3]/],
  ['opus', 'audio/ogg', /^OggS.{24}OpusHead/s],
  ['aac', 'audio/aac', /^\xff[\xf0\xf1]/],
  ['flac', 'audio/flac', /^fLaC/],
  ['wav', 'audio/wav', /^RIFF.{4}WAVE/s],
  ['pcm', 'audio/pcm', /./s],
] as const)('speaks in the format %s, while it is made', async (format, type, magic) => {
  const spoken = await client.audio.speech.create({ ...SPEECH, ...(format && { response_format: format }) })
  expect([spoken.headers.get('content-type'), spoken.headers.get('x-model')]).toEqual([type, 'demo/kokoro'])
  // Sent before its length is known. How many pieces arrive is up to the network.
  expect(spoken.headers.get('content-length')).toBeNull()
  expect(Buffer.from(await spoken.arrayBuffer()).toString('latin1')).toMatch(magic)
})

test('speaks in events with their usage, by a mix of voices, and by eSpeak NG', async () => {
  const events = await client.audio.speech.create({ ...SPEECH, voice: 'nova(2)+onyx', stream_format: 'sse' })
  const read = (await events.text()).trimEnd().split('\n\n')
  expect(read.at(-1)).toContain('"type":"speech.audio.done","usage":{"input_tokens":')
  expect(read.slice(0, -1).every((event) => event.startsWith('data: {"type":"speech.audio.delta"'))).toBe(true)
  const other = await client.audio.speech.create({ ...SPEECH, model: 'espeak' })
  expect(other.headers.get('x-model')).toBe('espeak-ng')
})

test('lists the models of all services, and finds each of them', async () => {
  const ids: string[] = []
  for await (const { id } of client.models.list()) ids.push(id)
  expect(ids).toEqual(expect.arrayContaining(['demo/chat', 'demo/whisper', 'demo/kokoro', 'demo/minilm']))
  for (const id of ids) expect(await client.models.retrieve(id)).toMatchObject({ id, object: 'model' })
})

test('an error of a service is the client’s own error', async () => {
  const speech = client.audio.speech.create({ model: 'tts-1', voice: 'nobody', input: 'Hello.' })
  await expect(speech).rejects.toMatchObject({ status: 404, code: 'voice_not_found', requestID: expect.any(String) })
})

test('chats in text, whole and streamed', async () => {
  const messages = [...NAME, QUESTION]
  const whole = await client.chat.completions.create({ model, messages })
  expect(whole.choices[0]?.message.content).toContain('Anna')
  let text = ''
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
    text += chunk.choices[0]?.delta.content ?? ''
  expect(text).toBe(whole.choices[0]?.message.content)
})

test('hears, answers with a voice, and knows later what it said', async () => {
  const heard = await spokenQuestion('016.wav')
  const { choices } = await client.chat.completions.create({
    model,
    messages: [heard],
    modalities: ['text', 'audio'],
    audio: { voice: 'alloy', format: 'wav' },
  })
  const audio = choices[0]?.message.audio
  expect(audio?.transcript).not.toBe('')
  const sound = measure(Buffer.from(audio?.data ?? '', 'base64'))
  expect(sound.seconds).toBeGreaterThan(0.3)
  expect(sound.level).toBeGreaterThan(0.005)
  const later = [heard, { role: 'assistant' as const, audio: { id: audio?.id ?? '' } }, ...NAME, QUESTION]
  const answered = await client.chat.completions.create({ model, messages: later })
  expect(answered.choices[0]?.message.content).toContain('Anna')
})

test('streams its voice', async () => {
  const stream = await client.chat.completions.create({
    model,
    messages: [...NAME, QUESTION],
    modalities: ['text', 'audio'],
    audio: { voice: 'alloy', format: 'pcm16' },
    stream: true,
  })
  const sounds: { id?: string; transcript?: string; data?: string; expires_at?: number }[] = []
  for await (const { choices } of stream) {
    const delta: { audio?: (typeof sounds)[number] } = choices[0]?.delta ?? {}
    if (delta.audio) sounds.push(delta.audio)
  }
  expect(sounds[0]?.id).toMatch(/^audio_/)
  expect(sounds.map(({ transcript = '' }) => transcript).join('')).toContain('Anna')
  const bytes = sounds.reduce((sum, { data = '' }) => sum + Buffer.from(data, 'base64').length, 0)
  expect(bytes / 2 / 24_000).toBeGreaterThan(0.3)
  expect(sounds.at(-1)?.expires_at).toBeGreaterThan(0)
})

test('the embedded model answers in words when it is given tools, and the reply names what it ignored', async () => {
  const clock = { type: 'function' as const, function: { name: 'clock' } }
  const chat = client.chat.completions.create({ model, messages: [...NAME, QUESTION], tools: [clock] })
  const { data, response } = await chat.withResponse()
  expect(data.choices[0]).toMatchObject({
    finish_reason: 'stop',
    message: { content: expect.stringContaining('Anna') },
  })
  expect(response.headers.get('x-ignored')).toBe('tools')
  const half = client.chat.completions.create({
    model,
    messages: [QUESTION],
    tools: [{ ...clock, function: { name: '' } }],
  })
  await expect(half).rejects.toMatchObject({ status: 400, param: 'tools.0.function.name' })
})
