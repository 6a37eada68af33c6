import { createReadStream, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { concat } from '@hearth/shared/audio'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { startSttService } from './testing/stt-service.ts'
import type { RunningService } from './testing/stt-service.ts'

const SPEECH = join(import.meta.dirname, '../../../models/speech')
const RECORDINGS = join(import.meta.dirname, 'testing/recordings')
const SAID = 'Please wake me up at ten forty five in the morning.'
const RATE_HZ = 16_000

let service: RunningService
let client: OpenAI
beforeAll(async () => {
  service = await startSttService()
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => service.close())

const spoken = () => createReadStream(join(SPEECH, '012.wav'))
const model = 'whisper-1'

describe("OpenAI's client", () => {
  test('uploads a stream without length or type, and gets every format', async () => {
    const create = client.audio.transcriptions
    expect((await create.create({ file: spoken(), model })).text).toBe(SAID)
    expect(await create.create({ file: spoken(), model, response_format: 'text' })).toBe(SAID)
    expect(await create.create({ file: spoken(), model, response_format: 'srt' })).toMatch(
      /^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nPlease wake/,
    )
    expect(await create.create({ file: spoken(), model, response_format: 'vtt' })).toMatch(/^WEBVTT\n\n00:/)
  })

  test('gets segments and words with their times', async () => {
    const verbose = await client.audio.transcriptions.create({
      file: await toFile(await readFile(join(SPEECH, '012.wav'))),
      model,
      response_format: 'verbose_json',
      timestamp_granularities: ['word', 'segment'],
    })
    expect(verbose).toMatchObject({ task: 'transcribe', language: 'english', text: SAID, duration: 3.4 })
    expect(verbose.words?.map(({ word }) => word).join(' ')).toBe(SAID)
    expect(verbose.segments?.[0]).toMatchObject({ id: 0, temperature: 0 })
    expect(verbose.segments?.[0]?.avg_logprob).toBeLessThan(0)
  })

  test('reads the stream to its end', async () => {
    const stream = await client.audio.transcriptions.create({
      file: spoken(),
      model: 'gpt-4o-transcribe',
      stream: true,
    })
    let deltas = ''
    let done: { text: string; usage?: unknown } | undefined
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') deltas += event.delta
      if (event.type === 'transcript.text.done') done = event
    }
    expect(deltas).toBe(SAID)
    expect(done).toMatchObject({ text: SAID, usage: { type: 'tokens' } })
  })

  test('translates, and says which language it was told', async () => {
    const german = createReadStream(join(SPEECH, '005.wav'))
    const translated = await client.audio.translations.create({ file: german, model, response_format: 'verbose_json' })
    expect(translated).toMatchObject({ task: 'translate', language: 'german' })
    const told = await client.audio.transcriptions.create({
      file: createReadStream(join(SPEECH, '005.wav')),
      model,
      language: 'de',
      response_format: 'verbose_json',
    })
    expect(told).toMatchObject({ language: 'german', text: 'Mache das Licht im Flur grün.' })
  })

  test('reads our errors', async () => {
    const file = await toFile(Buffer.from('this is no sound at all'), 'a.mp3')
    await expect(client.audio.transcriptions.create({ file, model })).rejects.toMatchObject({
      status: 400,
      code: 'undecodable_audio',
      param: 'file',
      requestID: expect.any(String),
    })
    await expect(client.audio.transcriptions.create({ file: spoken(), model: 'evil/repo' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    })
    expect((await client.models.retrieve('demo/whisper')).id).toBe('demo/whisper')
  })
})

test.each([
  'speech.mp3',
  'speech.flac',
  'speech.opus.ogg',
  'speech.webm',
  'speech.live.webm',
  'speech.aac',
  'film.mp4',
])('%s is heard like the recording it was made of, under a name that lies', async (name) => {
  const file = await toFile(readFileSync(join(RECORDINGS, name)), '../../etc/passwd.wav', { type: 'image/png' })
  expect((await client.audio.transcriptions.create({ file, model })).text).toBe(SAID)
})

describe('nobody speaks in', () => {
  const make = (sample: (n: number) => number) => Float32Array.from({ length: 5 * RATE_HZ }, (_, n) => sample(n))
  const sine = (hertz: number, n: number) => Math.sin((2 * Math.PI * hertz * n) / RATE_HZ)
  const noise = (n: number) => ((Math.imul(n + 1, 2_654_435_761) >>> 8) & 0xffff) / 32_768 - 1
  let drift = 0
  const sounds: Record<string, (n: number) => number> = {
    silence: () => 0,
    'a 440 Hz tone': (n) => 0.5 * sine(440, n),
    'white noise': (n) => 0.3 * noise(n),
    'the noise of a room': (n) => (drift = 0.99 * drift + 0.02 * noise(n)),
    'mains hum': (n) => 0.2 * (sine(50, n) + 0.5 * sine(100, n) + 0.3 * sine(150, n)),
    'a full-scale square wave': (n) => Math.sign(sine(220, n)),
    'a melody': (n) => {
      const hertz = [262, 294, 330, 349, 392, 440][Math.floor(n / 4000) % 6] ?? 440
      return 0.3 * sine(hertz, n) * Math.exp(-(n % 4000) / 3000)
    },
    'a chord': (n) => 0.2 * (sine(261.6, n) + sine(329.6, n) + sine(392, n)),
  }
  test.each(Object.entries(sounds))('%s', async (_name, sample) => {
    const file = await toFile(encodeWav({ samples: make(sample), sampleRateHz: RATE_HZ }), 'a.wav')
    const reply = await client.audio.transcriptions.create({ file, model })
    expect(reply).toMatchObject({ text: '', no_speech: true })
  })
})

test('a long recording is heard whole, in order, with each sentence at its time', async () => {
  const [, ...lines] = readFileSync(join(SPEECH, 'transcripts.tsv'), 'utf8').trim().split('\n')
  const sentences = lines
    .map((line) => line.split('\t'))
    .filter(([, language, , , , kind]) => kind === 'sentence' && language === 'en')
  const parts: Float32Array[] = []
  const begins: number[] = []
  let length = 0
  const add = (samples: Float32Array) => {
    parts.push(samples)
    length += samples.length
  }
  for (const [at, [name = '']] of sentences.entries()) {
    begins.push(length / RATE_HZ)
    add(decodeWav(readFileSync(join(SPEECH, name))).samples)
    add(new Float32Array((at % 3 === 0 ? 5 : 1.4) * RATE_HZ))
  }
  const file = await toFile(encodeWav({ samples: concat(parts), sampleRateHz: RATE_HZ }), 'long.wav')
  const heard = await client.audio.transcriptions.create({
    file,
    model,
    language: 'en',
    response_format: 'verbose_json',
  })
  expect(heard.duration).toBeGreaterThan(60)
  const said = sentences.map(([, , text = '']) => text)
  expect(wordErrorRate([[said.join(' '), heard.text]])).toBeLessThan(0.2)
  expect(heard.segments?.length).toBe(said.length)
  for (const [at, segment] of (heard.segments ?? []).entries())
    expect(Math.abs(segment.start - (begins[at] ?? 0)), `sentence ${at}`).toBeLessThan(0.5)
})

/** What a WhisperLive client ends up with: the texts of its finished segments. */
async function listenLive(samples: Float32Array, uid: string): Promise<{ texts: string[]; partials: number }> {
  const socket = new WebSocket(service.url.replace('http', 'ws'))
  socket.binaryType = 'arraybuffer'
  const closed = new Promise((resolve) => socket.addEventListener('close', resolve))
  let texts: string[] = []
  let partials = 0
  socket.addEventListener('open', () =>
    socket.send(JSON.stringify({ uid, language: null, task: 'transcribe', use_vad: true })),
  )
  socket.addEventListener('message', ({ data }) => {
    const message = Live.parse(JSON.parse(String(data)))
    expect(message.uid).toBe(uid)
    if (message.message === 'SERVER_READY') {
      for (let at = 0; at < samples.length; at += 4096) socket.send(samples.slice(at, at + 4096))
      socket.send(new TextEncoder().encode('END_OF_AUDIO'))
    }
    if (!message.segments) return
    partials += message.segments.filter(({ completed }) => !completed).length
    texts = message.segments.filter(({ completed }) => completed).map(({ text }) => text.trim())
  })
  await closed
  return { texts, partials }
}

const Live = z.looseObject({
  uid: z.string(),
  message: z.string().optional(),
  segments: z.array(z.object({ text: z.string(), completed: z.boolean() })).optional(),
})

test('live clients hear their own utterances, as many at once as there are', async () => {
  const pause = new Float32Array(RATE_HZ)
  const spokenIn = (name: string) => decodeWav(readFileSync(join(SPEECH, name))).samples
  const first = concat([spokenIn('012.wav'), pause, spokenIn('008.wav'), pause])
  const second = concat([pause, spokenIn('005.wav'), pause])
  const [one, other, third] = await Promise.all([
    listenLive(first, 'one'),
    listenLive(second, 'other'),
    listenLive(new Float32Array(3 * RATE_HZ), 'third'),
  ])
  expect(one?.texts).toEqual([SAID, 'Is the kitchen light on?'])
  expect(other?.texts).toEqual(['Mache das Licht im Flur grün.'])
  expect(third?.texts).toEqual([])
})

test('the probes answer while a long recording is heard, and it ends with its reader', async () => {
  const sentence = decodeWav(readFileSync(join(SPEECH, '012.wav'))).samples
  const samples = concat(Array.from({ length: 60 }, () => [sentence, new Float32Array(2 * RATE_HZ)]).flat())
  const body = new FormData()
  body.set('file', new Blob([encodeWav({ samples, sampleRateHz: RATE_HZ })]), 'a.wav')
  body.set('stream', 'true')
  const response = await fetch(`${service.url}/v1/audio/transcriptions`, { method: 'POST', body })
  const reader = response.body?.getReader()
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('transcript.text.delta')
  expect((await fetch(`${service.url}/health`)).status).toBe(200)
  await reader?.cancel()
  expect((await client.audio.transcriptions.create({ file: spoken(), model })).text).toBe(SAID)
})
