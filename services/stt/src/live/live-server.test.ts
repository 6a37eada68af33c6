import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { AppError } from '@hearth/shared/errors'
import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { ABLE, heard, loudIsSpeech, tone, UNABLE } from '../testing/stt-app.ts'
import type { Submit } from '../transcribe.ts'
import type { Abilities } from '../abilities.ts'
import { LiveServer } from './live-server.ts'
import type { LiveServerOptions } from './live-server.ts'

type Message = Record<string, unknown> & {
  segments?: { text: string; completed: boolean; start: string; end: string }[]
}

const HELLO = {
  uid: 'u1',
  language: 'en',
  task: 'transcribe',
  model: 'small',
  use_vad: true,
  send_last_n_segments: 10,
  no_speech_thresh: 0.45,
  clip_audio: false,
  same_output_threshold: 10,
  enable_translation: false,
  target_language: 'fr',
}

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** What was said is how many seconds of sound there were. */
const counting: Submit = async ({ samples }) => {
  const seconds = (samples.length / 16_000).toFixed(1)
  return heard({
    text: `${seconds} s`,
    segments: [{ startSeconds: 0, endSeconds: 1, text: ` ${seconds} s`, tokens: [] }],
  })
}

async function setUp(submit: Submit = counting, overrides: Partial<LiveServerOptions> = {}) {
  const inputs: Parameters<Submit>[0][] = []
  const metrics = createMetrics('stt')
  const live = new LiveServer({
    submit: (input, signal) => {
      inputs.push(input)
      return submit(input, signal)
    },
    detectVoice: loudIsSpeech,
    abilities: () => ABLE,
    maxClients: 8,
    maxSeconds: 600,
    log: createLogger({ service: 'stt', level: 'silent' }),
    metrics,
    ...overrides,
  })
  const server = createServer()
  server.on('upgrade', (request, socket, head) => live.upgrade(request, socket, head))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    live.close()
    server.closeAllConnections()
    server.close()
  })
  return { url: `ws://127.0.0.1:${portOf(server)}`, inputs, live, metrics }
}

const portOf = (server: Server): number => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a port')
  return address.port
}

class Client {
  readonly socket: WebSocket
  readonly messages: Message[] = []
  readonly closed: Promise<number>

  constructor(url: string, options: { origin?: string } = {}) {
    this.socket = new WebSocket(url, options)
    this.socket.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString('utf8')) as Message))
    this.closed = new Promise((closed) => this.socket.once('close', closed))
    this.socket.on('error', () => undefined)
    closing.push(() => this.socket.terminate())
  }

  async greet(hello: object | string = HELLO): Promise<this> {
    await once(this.socket, 'open')
    this.socket.send(typeof hello === 'string' ? hello : JSON.stringify(hello))
    return this
  }

  /** As WhisperLive's clients send it: 4096 samples at a time. */
  say(samples: Float32Array, pack: (part: Float32Array) => Uint8Array = float32): void {
    for (let at = 0; at < samples.length; at += 4096) this.socket.send(pack(samples.slice(at, at + 4096)))
  }

  end(): void {
    this.socket.send(Buffer.from('END_OF_AUDIO'))
  }

  get segments() {
    return this.messages.flatMap(({ segments }) => (segments ? [segments] : []))
  }
}

const float32 = (part: Float32Array) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
const int16 = (part: Float32Array) => new Uint8Array(Int16Array.from(part, (x) => x * 32_767).buffer)
const uint8 = (part: Float32Array) => Uint8Array.from(part, (x) => 128 + x * 127)
const silence = (seconds: number) => new Float32Array(seconds * 16_000)

describe("WhisperLive's clients", () => {
  test('are greeted by the name they look for, and get the last utterance finished after the end of audio', async () => {
    const { url } = await setUp()
    const client = await new Client(url).greet()
    await eventually(() => expect(client.messages).toHaveLength(1))
    expect(client.messages[0]).toEqual({ uid: 'u1', message: 'SERVER_READY', backend: 'faster_whisper' })
    client.say(tone(1))
    client.end()
    expect(await client.closed).toBe(1000)
    expect(client.segments.at(-1)).toEqual([
      { start: '0.000', end: '1.000', text: ' 1.0 s', completed: true, source: 'whole' },
    ])
    expect(client.messages).toContainEqual({ uid: 'u1', language: 'en', language_prob: 1 })
  })

  test('see partials while somebody speaks, and then the utterance heard whole', async () => {
    const { url, metrics } = await setUp()
    const client = await new Client(url).greet()
    client.say(tone(2.5))
    await eventually(() => expect(client.segments.length).toBeGreaterThan(0))
    expect(client.segments[0]?.[0]).toMatchObject({ completed: false, source: 'stream' })
    client.say(tone(1))
    client.say(silence(1))
    await eventually(() => expect(client.segments.at(-1)?.at(-1)?.completed).toBe(true))
    expect(client.segments.at(-1)?.[0]?.text).toBe(' 3.8 s')
    expect(await metrics.registry.metrics()).toMatch(/hearth_live_utterances\{text="changed"[^}]*\} 1/)
  })

  test('get several utterances at their times, at most as many as they want', async () => {
    const { url } = await setUp()
    const client = await new Client(url).greet({ ...HELLO, send_last_n_segments: 2 })
    for (let count = 0; count < 4; count++) {
      client.say(tone(1))
      client.say(silence(2))
    }
    client.end()
    expect(await client.closed).toBe(1000)
    const last = client.segments.at(-1) ?? []
    expect(last.map(({ completed }) => completed)).toEqual([true, true])
    for (const [at, { start }] of last.entries()) expect(Math.abs(Number(start) - (6 + 3 * at))).toBeLessThan(0.4)
  })

  test('may leave out every field but none', async () => {
    const { url, inputs } = await setUp()
    const client = await new Client(url).greet({})
    client.say(tone(1))
    client.end()
    expect(await client.closed).toBe(1000)
    expect(client.segments.at(-1)).toHaveLength(1)
    expect(inputs[0]).toMatchObject({ language: null, task: 'transcribe', timestamps: 'segments' })
  })

  test.each([
    ['int16', int16],
    ['uint8', uint8],
  ] as const)('may send %s', async (format, pack) => {
    const { url, inputs } = await setUp()
    const client = await new Client(url).greet({ ...HELLO, audio_format: format })
    client.say(tone(1), pack)
    client.end()
    expect(await client.closed).toBe(1000)
    expect(inputs[0]?.samples).toHaveLength(16_000)
    expect(inputs[0]?.samples[100]).toBeCloseTo(0.3 * Math.sin(20), 1)
  })

  test('hand their wishes to the engine, and are told what there is not', async () => {
    const { url, inputs } = await setUp()
    const client = await new Client(url).greet({
      ...HELLO,
      language: 'xx',
      task: 'translate',
      initial_prompt: 'Lights.',
      hotwords: ['kitchen', 'garden'],
      word_timestamps: true,
      enable_translation: true,
    })
    client.say(tone(1))
    client.end()
    await client.closed
    expect(inputs[0]).toMatchObject({
      language: null,
      task: 'translate',
      prompt: 'Lights.',
      hotwords: 'kitchen, garden',
      timestamps: 'words',
    })
    expect(client.messages.filter(({ status }) => status === 'WARNING')).toHaveLength(2)
  })

  test('are told what the model can not do, and hear the rest', async () => {
    const abilities = () => UNABLE
    const { url, inputs } = await setUp(counting, { abilities })
    const client = await new Client(url).greet({
      ...HELLO,
      language: 'de',
      task: 'translate',
      word_timestamps: true,
      initial_prompt: 'Lights.',
    })
    client.say(tone(1))
    client.end()
    expect(await client.closed).toBe(1000)
    expect(inputs[0]).toMatchObject({ language: null, task: 'transcribe', timestamps: 'segments' })
    expect(inputs[0]).not.toHaveProperty('prompt')
    const warnings = client.messages.filter(({ status }) => status === 'WARNING').map(({ message }) => message)
    expect(warnings).toEqual([
      expect.stringContaining('language'),
      expect.stringContaining('translate'),
      expect.stringContaining('word times'),
      expect.stringContaining('prompted'),
    ])
  })

  test('are told again when another model takes the place, and what one took for granted binds no other', async () => {
    let now: Abilities = ABLE
    const onlyEnglish: Submit = async (input, signal) => {
      const result = await counting(input, signal)
      return { ...result, output: { ...result.output, language: 'en', languageProbability: null } }
    }
    const { url, inputs } = await setUp(onlyEnglish, { abilities: () => now })
    const client = await new Client(url).greet({ ...HELLO, language: null, initial_prompt: 'Lights.' })
    const said = async (count: number) => {
      client.say(tone(1))
      client.say(silence(1))
      await vi.waitFor(() => expect(client.segments.at(-1)).toHaveLength(count))
    }
    const warnings = () => client.messages.filter(({ status }) => status === 'WARNING').length
    await said(1)
    now = UNABLE
    await said(2)
    expect(warnings()).toBe(1)
    now = ABLE
    await said(3)
    client.end()
    expect(await client.closed).toBe(1000)
    expect(inputs.map(({ language, prompt }) => [language, prompt])).toEqual([
      [null, 'Lights.'],
      [null, undefined],
      [null, 'Lights.'],
    ])
    expect(warnings()).toBe(1)
  })

  test('hear nothing of silence', async () => {
    const { url, inputs } = await setUp()
    const client = await new Client(url).greet()
    client.say(silence(5))
    client.end()
    expect(await client.closed).toBe(1000)
    expect([client.segments, inputs]).toEqual([[], []])
  })

  test('wait when all places are taken', async () => {
    const { url } = await setUp(counting, { maxClients: 1 })
    const first = await new Client(url).greet()
    await eventually(() => expect(first.messages).toHaveLength(1))
    const second = await new Client(url).greet({ ...HELLO, uid: 'u2' })
    expect(await second.closed).toBe(1013)
    expect(second.messages).toEqual([{ uid: 'u2', status: 'WAIT', message: 1 }])
    first.end()
    await first.closed
    const third = await new Client(url).greet()
    await eventually(() => expect(third.messages[0]).toHaveProperty('message', 'SERVER_READY'))
  })

  test('do not hear each other', async () => {
    const { url } = await setUp()
    const seconds = [1, 2, 3, 4]
    const clients = await Promise.all(seconds.map((each) => new Client(url).greet({ ...HELLO, uid: `u${each}` })))
    for (const [at, client] of clients.entries()) client.say(tone(seconds[at] ?? 1))
    for (const client of clients) client.end()
    expect(await Promise.all(clients.map(({ closed }) => closed))).toEqual([1000, 1000, 1000, 1000])
    for (const [at, client] of clients.entries()) {
      expect(client.segments.at(-1)?.at(-1)).toMatchObject({ text: ` ${seconds[at]}.0 s`, completed: true })
      expect(client.messages.every(({ uid }) => uid === `u${seconds[at]}`)).toBe(true)
    }
  })

  test('keep what they say while the model still loads', async () => {
    const loaded = Promise.withResolvers<void>()
    const { url } = await setUp(async (input, signal) => loaded.promise.then(() => counting(input, signal)), {
      abilities: () => null,
    })
    const client = await new Client(url).greet()
    client.say(tone(3))
    client.end()
    await eventually(() => expect(client.messages).toHaveLength(1))
    loaded.resolve()
    expect(await client.closed).toBe(1000)
    expect(client.segments.at(-1)?.at(-1)).toMatchObject({ text: ' 3.0 s', completed: true })
  })
})

describe('a client is let go', () => {
  test.each(['', 'hello', '[]', '{"uid": 5}', '{"uid":"x","send_last_n_segments":0}', '{"uid":"x","uid":"y"}'])(
    'when it greets with %j',
    async (hello) => {
      const { url } = await setUp()
      const client = await new Client(url).greet(hello)
      expect(await client.closed).toBe(4400)
      expect(client.messages[0]).toMatchObject({ status: 'ERROR' })
    },
  )

  test('when it never greets', async () => {
    const { url } = await setUp(counting, { limits: { helloMs: 20 } })
    const client = new Client(url)
    expect(await client.closed).toBe(4408)
  })

  test('when it says nothing for too long, and when its time is over', async () => {
    const idle = await setUp(counting, { limits: { idleMs: 0, pingMs: 20 } })
    expect(await (await new Client(idle.url).greet()).closed).toBe(4408)
    const over = await setUp(counting, { maxSeconds: 0, limits: { pingMs: 20 } })
    const client = await new Client(over.url).greet()
    expect(await client.closed).toBe(4408)
    expect(client.messages).toContainEqual({ uid: 'u1', message: 'DISCONNECT' })
  })

  test('when one message is too large', async () => {
    const { url } = await setUp()
    const client = await new Client(url).greet()
    client.socket.send(Buffer.alloc(2_000_000))
    expect(await client.closed).toBe(1009)
  })

  test('when it does not read what it is told', async () => {
    const { url } = await setUp(counting, { limits: { unreadBytes: -1 } })
    const client = await new Client(url).greet()
    client.say(tone(1))
    client.end()
    expect([4429, 1006]).toContain(await client.closed)
  })

  test('when the engine fails, with words it can show', async () => {
    const { url } = await setUp(async () => {
      throw new AppError('model_failed', 'the model can not be loaded')
    })
    const client = await new Client(url).greet()
    client.say(tone(1))
    client.end()
    expect(await client.closed).toBe(4500)
    expect(client.messages.at(-1)).toMatchObject({ status: 'ERROR', message: 'the model can not be loaded' })
  })

  test('when the service stops', async () => {
    const { url, live } = await setUp()
    const client = await new Client(url).greet()
    await eventually(() => expect(client.messages).toHaveLength(1))
    live.close()
    expect(await client.closed).toBe(1001)
  })
})

test('half a sample is an error, and the connection goes on', async () => {
  const { url } = await setUp()
  const client = await new Client(url).greet()
  client.socket.send(Buffer.alloc(7))
  await eventually(() => expect(client.messages.at(-1)).toMatchObject({ status: 'ERROR' }))
  client.say(tone(1))
  client.end()
  expect(await client.closed).toBe(1000)
  expect(client.segments.at(-1)).toHaveLength(1)
})

test('samples that are no numbers are silence', async () => {
  const { url, inputs } = await setUp()
  const client = await new Client(url).greet()
  client.say(new Float32Array(16_000).fill(NaN))
  client.end()
  expect(await client.closed).toBe(1000)
  expect(inputs).toHaveLength(0)
})

test('what is under way ends with its client', async () => {
  const signals: AbortSignal[] = []
  const { url } = await setUp(async (_, signal) => {
    signals.push(signal)
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('left'))))
  })
  const client = await new Client(url).greet()
  client.say(tone(1))
  client.say(silence(1))
  await eventually(() => expect(signals).toHaveLength(1))
  client.socket.terminate()
  await eventually(() => expect(signals[0]?.aborted).toBe(true))
})

test('who sends faster than it is heard is held back, and heard whole all the same', async () => {
  const { url } = await setUp(counting, { limits: { backlogSeconds: 1 } })
  const client = await new Client(url).greet()
  for (let count = 0; count < 10; count++) {
    client.say(tone(2))
    client.say(silence(1))
  }
  client.end()
  expect(await client.closed).toBe(1000)
  expect(client.segments.at(-1)?.map(({ completed }) => completed)).toEqual(Array.from({ length: 10 }, () => true))
})

test('pages of other sites and other paths are not let in; extensions and our own pages are', async () => {
  const { url } = await setUp()
  const answer = async (path: string, origin?: string) => {
    const { socket } = new Client(url + path, origin === undefined ? {} : { origin })
    return new Promise((answered) => {
      socket.once('open', () => answered(101))
      socket.once('unexpected-response', (request, response) => {
        answered(response.statusCode)
        request.destroy()
      })
    })
  }
  expect(await answer('/', 'https://evil.example')).toBe(403)
  expect(await answer('/elsewhere')).toBe(404)
  expect(await answer('/?token=x', 'http://localhost:3000')).toBe(101)
  expect(await answer('/', 'chrome-extension://abc')).toBe(101)
})
