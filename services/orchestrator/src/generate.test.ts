import { EventEmitter, once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { GenerateReply } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { ManualClock } from '@hearth/shared/testing/signals'
import { decodeWav, encodeWav, wavHeader } from '@hearth/shared/wav'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ANYBODY } from './sessions.ts'
import type { Prompt } from './stages/llm.ts'
import { fakeStages } from './testing/fake-stages.ts'
import { endlessMind, jsonOf, turnApp } from './testing/turn-app.ts'
import type { Stages } from './turn-events.ts'

const WAV = encodeWav({ samples: new Float32Array(16_000).fill(0.1), sampleRateHz: 16_000 })

const JSON_TYPE = { 'content-type': 'application/json' }

describe('options', () => {
  const OPTIONS = { user: 'anna', language: 'de', instructions: 'Rhyme.', max_tokens: 7, temperature: 0.5 }

  function hearing() {
    const languages: (string | undefined)[] = []
    const stt: Stages['stt'] = {
      async transcribe(_, __, language) {
        languages.push(language)
        return { text: 'Guten Tag.', language: 'de', model: 'fake/ear' }
      },
    }
    return { languages, ...turnApp({ stt }) }
  }

  const forms: [string, string, () => RequestInit][] = [
    [
      'JSON',
      '/generate',
      () => ({
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ audio: Buffer.from(WAV).toString('base64'), ...OPTIONS }),
      }),
    ],
    [
      'a form',
      '/generate',
      () => {
        const body = new FormData()
        body.append('file', new Blob([WAV]), 'a.wav')
        for (const [name, value] of Object.entries(OPTIONS)) body.append(name, String(value))
        return { method: 'POST', body }
      },
    ],
    [
      'the address',
      '/generate?user=anna&language=de&instructions=Rhyme.&max_tokens=7&temperature=0.5',
      () => ({ method: 'POST', headers: { 'content-type': 'audio/wav' }, body: WAV }),
    ],
  ]

  test.each(forms)('in %s reach the stages', async (_, path, init) => {
    const { request, prompts, remembered, languages } = hearing()
    const response = await request(path, init())
    const [turn, session] = ['x-turn', 'x-session'].map((name) => response.headers.get(name))
    expect([response.status, await response.json()]).toMatchObject([200, { turn, session, transcript: 'Guten Tag.' }])
    expect(prompts).toMatchObject([{ instructions: 'Rhyme.', maxTokens: 7, temperature: 0.5 }])
    expect(remembered).toMatchObject([{ user: 'anna' }])
    expect(languages).toEqual(['de'])
  })

  test('speak: false asks no voice, not even whether it exists', async () => {
    const ask = async (): Promise<never> => {
      throw new AppError('voice_not_found', 'no')
    }
    const app = turnApp({ tts: { speak: ask, voiceFor: async () => undefined, requireVoice: ask } })
    const reply = await jsonOf(await app.ask({ text: 'Hi.', speak: false, voice: 'nobody' }))
    expect(reply).toMatchObject({ audio: null, degraded: [], reply: 'Hello there, Anna. How are you?' })
    expect(reply['timings']).not.toHaveProperty('ttsMs')
  })

  test('remember: false keeps the turn out of memory, but in its session', async () => {
    const { ask, remembered, sessions } = turnApp()
    await ask({ text: 'My name is Anna.', remember: false, session: 'a' })
    expect([remembered, (await sessions.read(ANYBODY, 'a'))?.turns]).toEqual([[], 1])
  })

  test.each([
    [{ temperature: 2.1 }, 'temperature'],
    [{ temperature: '1' }, 'temperature'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ speak: 'no' }, 'speak'],
    [{ response_format: 'mp3' }, 'response_format'],
    [{ response_format: 'wav', speak: false }, 'speak'],
    [{ user: '../..' }, 'user'],
    [{ language: '!' }, 'language'],
    [{ audio: 'AAAA' }, 'text'],
  ])('%j are refused', async (fields, param) => {
    const { ask, prompts, sessions } = turnApp()
    const response = await ask({ text: 'Hi.', ...fields })
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'invalid_request', param } }])
    expect([prompts, sessions.size]).toEqual([[], 0])
  })

  test.each([
    ['not base64!', 'invalid_request'],
    ['AA AA', 'invalid_request'],
    ['AAAA\n', 'invalid_request'],
    ['AAAA', 'undecodable_audio'],
  ])('audio that is %j is refused', async (audio, code) => {
    const response = await turnApp().ask({ audio })
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code, param: 'audio' } }])
  })
})

describe('functions of the client', () => {
  const WEATHER = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }
  const CALLS = [{ id: 'call_1', name: 'weather', args: '{"city":"Prague"}' }]

  function asking() {
    const prompts: Prompt[] = []
    const app = turnApp({
      llm: {
        name: 'fake/mind',
        async *reply(prompt) {
          prompts.push(prompt)
          yield { text: prompt.results ? 'It rains.' : 'One moment.', model: 'fake/mind' }
          yield { text: '', model: 'fake/mind', ...(!prompt.results && { toolCalls: CALLS }) }
        },
      },
    })
    return { ...app, prompts }
  }
  const results = (id = 'call_1') => ({ session: 'a', tool_results: [{ tool_call_id: id, content: 'rainy' }] })

  test('a call comes with the reply; its result, with the next request, is answered', async () => {
    const { ask, prompts, request, remembered } = asking()
    const first = await jsonOf(await ask({ text: 'How is the weather?', session: 'a', tools: [WEATHER] }))
    const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Prague"}' } }
    expect(first).toMatchObject({ reply: 'One moment.', tool_calls: [call] })
    expect(await jsonOf(await request(`/turns/${String(first['turn'])}`))).toMatchObject({ tool_calls: [call] })
    const second = await jsonOf(await ask(results()))
    expect(second).toMatchObject({ transcript: 'How is the weather?', reply: 'It rains.' })
    expect(prompts[1]).toMatchObject({
      user: '',
      results: [{ id: 'call_1', content: 'rainy' }],
      history: [{ calls: CALLS }],
    })
    expect(remembered).toHaveLength(1)
  })

  test('a call is an event of its own in a stream, before done', async () => {
    const { ask } = asking()
    const text = await (await ask({ text: 'How is the weather?', tools: [WEATHER] }, 'text/event-stream')).text()
    expect(text).toMatch(/event: tool_calls\ndata: \{"tool_calls":\[\{"id":"call_1".*\n\nevent: (?:audio|done)/)
  })

  test.each([
    ['application/json', true],
    ['audio/wav', true],
    ['text/event-stream', true],
    ['application/json', false],
  ])('that the language model does not know are named in the reply as %s (%j)', async (accept, brings) => {
    const { llm } = fakeStages().stages
    const { ask } = turnApp({ llm: { ...llm, ignores: ({ tools }) => (tools ? ['tools'] : []) } })
    const response = await ask({ text: 'How is the weather?', ...(brings && { tools: [WEATHER] }) }, accept)
    await response.arrayBuffer()
    expect([response.status, response.headers.get('x-ignored')]).toEqual([200, brings ? 'tools' : null])
  })

  test('results of other calls, of none, or twice the same are refused, and the session goes on', async () => {
    const { ask } = asking()
    expect((await ask(results())).status).toBe(400)
    await ask({ text: 'How is the weather?', session: 'a', tools: [WEATHER] })
    for (const wrong of [results('call_2'), { session: 'a', tool_results: [] }, { ...results(), text: 'Hi.' }]) {
      const response = await ask(wrong)
      expect([response.status, await response.json()]).toMatchObject([400, { error: { param: 'tool_results' } }])
    }
    const long = { session: 'a', tool_results: [{ tool_call_id: 'call_1', content: 'x'.repeat(65_537) }] }
    expect(await jsonOf(await ask(long))).toMatchObject({ error: { code: 'text_too_long', param: 'tool_results' } })
    expect((await ask(results())).status).toBe(200)
    expect((await ask(results())).status).toBe(400)
  })
})

describe('sound while it is made', () => {
  const cases: [object, string, number][] = [
    [{}, 'audio/pcm', 0],
    [{ response_format: 'pcm' }, '*/*', 0],
    [{}, 'audio/wav;stream=true', 44],
    [{ response_format: 'wav' }, 'audio/wav; stream=true', 44],
  ]

  test.each(cases)('%j, Accept: %s', async (fields, accept, headerBytes) => {
    const { ask, request } = turnApp()
    const response = await ask({ text: 'Hi.', session: 'a', ...fields }, accept)
    const bytes = new Uint8Array(await response.arrayBuffer())
    expect(bytes).toHaveLength(headerBytes + 2 * 'Hello there, Anna.How are you?'.length)
    const wav =
      headerBytes > 0 ? bytes : Buffer.concat([wavHeader({ sampleRateHz: 24_000, sampleCount: 'stream' }), bytes])
    expect(decodeWav(wav, { minSeconds: 0 }).samples).toHaveLength(30)
    expect(response.headers.get('content-type')).toBe(headerBytes > 0 ? 'audio/wav' : 'audio/pcm')
    expect(response.headers.get('x-session')).toBe('a')
    const record = await request(`/turns/${response.headers.get('x-turn')}`)
    expect(await record.json()).toMatchObject({ transcript: 'Hi.', reply: 'Hello there, Anna. How are you?' })
  })

  test('starts with the first clause; transcript and reply so far are there by then', async () => {
    const { llm } = endlessMind()
    const { ask, request, admission } = turnApp({ llm })
    const response = await ask({ text: 'Hi.' }, 'audio/pcm')
    const reader = response.body?.getReader()
    expect((await reader?.read())?.value).toHaveLength(2 * 'One two three four.'.length)
    const path = `/turns/${response.headers.get('x-turn')}`
    const record = await jsonOf(await request(path))
    expect(record).toMatchObject({ status: 'running', transcript: 'Hi.', reply: 'One two three four. ' })
    // It leaves while it waits for more.
    void reader?.read()
    await reader?.cancel()
    expect(admission.running).toBe(0)
    const stage = expect.objectContaining({ stage: 'llm' })
    const cut = { status: 'cancelled', waterfall: expect.arrayContaining([stage]) }
    expect(await jsonOf(await request(path))).toMatchObject(cut)
  })

  test('of a voice that fails is an error before the first clause, and broken off after it', async () => {
    let spoken = 0
    const tts: Stages['tts'] = {
      async speak() {
        if (spoken-- <= 0) throw new AppError('stage_failed', 'no')
        return { pcm: new Uint8Array(2), sampleRateHz: 24_000, model: 'v' }
      },
      voiceFor: async () => undefined,
      requireVoice: async () => {},
    }
    const { ask } = turnApp({ tts })
    expect((await ask({ text: 'Hi.' }, 'audio/pcm')).status).toBe(502)
    spoken = 1
    const response = await ask({ text: 'Hi.' }, 'audio/pcm')
    expect(response.status).toBe(200)
    await expect(response.arrayBuffer()).rejects.toThrow('no sound')
  })

  test('of silence is none', async () => {
    const stt: Stages['stt'] = { transcribe: async () => ({ text: '', language: 'en', model: 'm' }) }
    const { ask } = turnApp({ stt })
    const response = await ask({ audio: Buffer.from(WAV).toString('base64') }, 'audio/pcm')
    expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, 0])
  })
})

describe('over a real connection', () => {
  async function listen(stages: Partial<Stages>, keepAliveMs: number) {
    const parts = turnApp(stages, { keepAliveMs })
    const { app } = parts
    const log = createLogger({ service: 'test', level: 'silent' })
    const host = Object.assign(new EventEmitter(), { exit: () => {} })
    const { port, close } = await serve({ app, port: 0, hostname: '127.0.0.1', log, close: [], drainMs: 100, host })
    onTestFinished(close)
    const stop = new AbortController()
    const open = async () =>
      fetch(`http://127.0.0.1:${port}/generate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: JSON.stringify({ audio: Buffer.from(WAV).toString('base64'), session: 'a' }),
        signal: stop.signal,
      })
    return { ...parts, open, stop, port }
  }

  test('events are not held back, and a client that leaves ends the turn', async () => {
    const { llm, stopped } = endlessMind()
    const { open, stop, admission, ask } = await listen({ llm }, 60_000)
    const response = await open()
    let text = ''
    for await (const bytes of response.body ?? []) {
      text += new TextDecoder().decode(bytes)
      if (text.includes('event: audio')) break
    }
    expect(text).toContain('event: transcript')
    stop.abort()
    await stopped
    expect(admission.running).toBe(0)
    expect((await ask({ text: 'Hi.', session: 'a', max_tokens: 0 })).status).toBe(400)
  })

  test('a streamed sound has what else there is to say in its trailers', async () => {
    const { port } = await listen({}, 60_000)
    const sent = httpRequest({
      port,
      path: '/generate',
      method: 'POST',
      headers: { accept: 'audio/pcm', ...JSON_TYPE },
    })
    sent.end(JSON.stringify({ text: 'Grüße, Anna.' }))
    const response = await once(sent, 'response').then(([first]) => first as IncomingMessage)
    const bytes = Buffer.concat(await response.toArray())
    expect(bytes).toHaveLength(2 * 'Hello there, Anna.How are you?'.length)
    expect(response.headers['trailer']).toContain('x-reply')
    expect(response.trailers).toMatchObject({
      'x-transcript': "UTF-8''Gr%C3%BC%C3%9Fe%2C%20Anna.",
      'x-reply': "UTF-8''Hello%20there%2C%20Anna.%20How%20are%20you%3F",
      'x-degraded': '',
    })
    expect(JSON.parse(response.trailers['x-timings'] ?? '')).toHaveProperty('firstAudioMs')
  })

  test('while nothing happens the stream says that it is there, from before the transcript', async () => {
    const gate = Promise.withResolvers<void>()
    const stt: Stages['stt'] = {
      async transcribe() {
        await gate.promise
        return { text: 'Hi.', language: 'en', model: 'm' }
      },
    }
    const { open } = await listen({ stt }, 10)
    const response = await open()
    expect(response.headers.get('x-turn')).toMatch(/^turn_/)
    let text = ''
    for await (const bytes of response.body ?? []) {
      text += new TextDecoder().decode(bytes)
      if ((text.match(/^: still here$/gm)?.length ?? 0) >= 2) gate.resolve()
    }
    expect(text).toMatch(/^(?:: still here\n\n){2,}event: transcript\n/)
    expect(text).toMatch(/event: done\n.*\n\n$/)
  })
})

describe('where the time went', () => {
  /** Each stage and each gap takes its own number of milliseconds, on a clock that only they move. */
  async function timedTurn() {
    const clock = new ManualClock()
    const parts = turnApp({}, { now: clock.now })
    const { stt, memory, llm, tts } = parts.stages
    const after = <T>(ms: number, work: Promise<T>): Promise<T> => (clock.advance(ms), work)
    const slow: Partial<Stages> = {
      stt: { transcribe: (wav, signal) => after(400, stt.transcribe(wav, signal)) },
      memory: {
        recall: (text, user, signal) => after(30, memory.recall(text, user, signal)),
        remember: (said, signal) => after(7, memory.remember(said, signal)),
      },
      llm: {
        name: 'slow/mind',
        async *reply(prompt, signal) {
          for await (const piece of llm.reply(prompt, signal)) {
            clock.advance(50)
            yield piece
          }
        },
      },
      tts: { ...tts, speak: (text, voice, signal) => after(80, tts.speak(text, voice, signal)) },
    }
    const profiles: Record<string, unknown>[] = []
    const log = createLogger(
      { service: 'test', level: 'info' },
      { write: (line) => void profiles.push(JSON.parse(line)) },
    )
    const metrics = createMetrics('test')
    const { ask } = turnApp(slow, { now: clock.now, log, metrics })
    const started = clock.now()
    const reply = GenerateReply.parse(await jsonOf(await ask({ audio: Buffer.from(WAV).toString('base64') })))
    return { reply, wallMs: clock.now() - started, profiles, metrics }
  }

  test('the stages and the named gaps of the waterfall sum to the wall time', async () => {
    const { reply, wallMs } = await timedTurn()
    let reachedMs = 0
    let sumMs = 0
    for (const span of reply.waterfall) {
      const endMs = span.startMs + span.durationMs
      sumMs += Math.max(0, endMs - Math.max(reachedMs, span.startMs))
      reachedMs = Math.max(reachedMs, endMs)
    }
    expect(wallMs).toBe(400 + 30 + 5 * 50 + 2 * 80 + 7)
    expect(Math.abs(sumMs - wallMs)).toBeLessThanOrEqual(0.05 * wallMs)
    expect(reply.timings['totalMs']).toBe(wallMs)
    expect(reply.timings).toMatchObject({ sttMs: 400, memoryMs: 30, llmFirstTokenMs: 50 })
  })

  test('is one structured line in the log, and a histogram for each stage', async () => {
    const { reply, profiles, metrics } = await timedTurn()
    const told = profiles.filter(({ event }) => event === 'profile')
    const { timings, waterfall, models } = reply
    expect(told).toMatchObject([{ msg: '[PROFILING] turn', timings, waterfall, models, fragments: 2 }])
    const text = await metrics.registry.metrics()
    for (const stage of ['stt', 'memory', 'llm.first_token', 'llm', 'tts.first_byte', 'tts', 'first_audio', 'total'])
      expect(text).toContain(`hearth_stage_duration_seconds_count{service="test",stage="${stage}"} 1`)
  })
})
