/** Clients that are slow, gone, or many. */
import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { fakeStages } from '../testing/fake-stages.ts'
import { loudPcm, silentPcm, startRealtime } from '../testing/realtime-stack.ts'
import { endlessMind } from '../testing/turn-app.ts'
import type { Stages } from '../turn-events.ts'
import { Listener } from './listener.ts'
import { defaultConfig } from './session-config.ts'
import { SoundIn } from './sound-in.ts'

let stack: Awaited<ReturnType<typeof startRealtime>>
afterEach(async () => stack.stop())

/** More than the sockets' own buffers take. */
const LONG = 20 * 2 ** 20
const longVoice: Stages['tts'] = {
  speak: async () => ({ pcm: new Uint8Array(LONG), sampleRateHz: 24_000, model: 'fake/voice' }),
  voiceFor: async () => undefined,
  requireVoice: async () => {},
}

describe('a client that does not read', () => {
  test('is let go, and its work ends', async () => {
    const { llm, stopped } = endlessMind()
    stack = await startRealtime({ llm, tts: longVoice }, { limits: { slowMs: 20 } })
    const client = await stack.connect()
    const closed = client.closed()
    client.say('Hello.')
    client.send({ type: 'response.create' })
    await client.until('response.created')
    client.socket.pause()
    await stopped
    await eventually(() => expect(stack.admission.running).toBe(0))
    client.socket.resume()
    // Whether its buffers held the farewell is the system's matter.
    expect([1013, 1006]).toContain(await closed)
  })

  test('for a while only makes the turn wait, and gets all of it', async () => {
    const words = async function* () {
      yield { text: 'One two three four.', model: 'fake/mind' }
    }
    stack = await startRealtime({ llm: { name: 'fake/mind', reply: words }, tts: longVoice })
    const client = await stack.connect()
    client.say('Hello.')
    client.send({ type: 'response.create' })
    await client.until('response.created')
    client.socket.pause()
    client.socket.resume()
    await client.until('response.done')
    const deltas = client.events.filter(({ type }) => type === 'response.output_audio.delta')
    const bytes = deltas.reduce((sum, { delta }) => sum + Buffer.byteLength(String(delta), 'base64'), 0)
    expect(bytes).toBe(LONG)
  })
})

describe('a client that sends faster than it is heard', () => {
  test('is not read until there is less to hear', async () => {
    const gate = Promise.withResolvers<void>()
    const heard: number[] = []
    const push = async (pcm: Buffer) => {
      await gate.promise
      heard.push(pcm.length)
      return []
    }
    stack = await startRealtime({}, { createWatch: () => ({ push, configure: () => {} }) })
    const client = await stack.connect()
    for (let count = 0; count < 40; count++) client.send({ type: 'input_audio_buffer.append', audio: silentPcm(500) })
    const pong = new Promise((resolve) => client.socket.once('pong', resolve))
    client.socket.ping()
    await expect(Promise.race([pong, new Promise((resolve) => setTimeout(resolve, 100, 'unread'))])).resolves.toBe(
      'unread',
    )
    gate.resolve()
    await pong
    await eventually(() => expect(heard).toHaveLength(40))
  })
})

test('a client that commits may change its format as often as it likes: nothing is converted for it', () => {
  const looks = vi.spyOn(SoundIn.prototype, 'between')
  const formats = [{ type: 'audio/pcmu' }, { type: 'audio/pcm', rate: 24_000 }] as const
  let config = { ...defaultConfig('realtime', 'm', '', ''), turnDetection: null }
  const { stt } = fakeStages().stages
  const parts = { stt, createWatch: () => null, captions: undefined, tell: () => {}, onTrouble: () => {} }
  const listener = new Listener({ ...parts, config: () => config, signal: new AbortController().signal })
  looks.mockClear()
  for (let at = 0; at < 10; at++) {
    listener.append(silentPcm(100))
    config = { ...config, inputFormat: formats[at % 2] ?? config.inputFormat }
    listener.listenOn(0)
  }
  expect(looks).not.toHaveBeenCalled()
  looks.mockRestore()
})

describe('a client that brings more sounds than are heard', () => {
  test('is not read until some are', async () => {
    const gate = Promise.withResolvers<void>()
    let under = 0
    const transcribe: Stages['stt']['transcribe'] = async () => {
      under++
      await gate.promise
      return { text: 'Good morning.', language: 'en', model: 'fake/ear' }
    }
    stack = await startRealtime({ stt: { transcribe } })
    const client = await stack.connect()
    const content = [{ type: 'input_audio', audio: silentPcm(2000) }]
    for (let count = 0; count < 60; count++)
      client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } })
    const pong = new Promise((resolve) => client.socket.once('pong', resolve))
    client.socket.ping()
    await eventually(() => expect(under).toBeGreaterThan(16))
    expect(under).toBeLessThan(30)
    gate.resolve()
    await pong
    await eventually(() => expect(under).toBe(60))
  })
})

describe('what goes on without its client', () => {
  test('ends in the middle of an utterance', async () => {
    const givenUp = Promise.withResolvers<void>()
    const transcribe: Stages['stt']['transcribe'] = (_wav, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          givenUp.resolve()
          reject(signal.reason)
        })
      })
    stack = await startRealtime({ stt: { transcribe } })
    const client = await stack.connect()
    client.send({ type: 'input_audio_buffer.append', audio: loudPcm(400) })
    client.send({ type: 'input_audio_buffer.append', audio: silentPcm(600) })
    await client.until('input_audio_buffer.committed')
    await eventually(() => expect(stack.admission.running).toBe(1))
    client.socket.terminate()
    await givenUp.promise
    await eventually(() => expect(stack.admission.running).toBe(0))
  })

  test('leaves what was heard in the session', async () => {
    const { llm, stopped } = endlessMind()
    let nowMs = 0
    stack = await startRealtime({ llm }, { now: () => nowMs })
    const client = await stack.connect('?session=tea')
    client.say('Count.')
    client.send({ type: 'response.create' })
    await client.until('response.output_audio.delta')
    nowMs = 10_000
    client.socket.terminate()
    await stopped
    await stack.realtime.close()
    const session = await stack.sessions.read('default', 'tea')
    expect(session?.history).toMatchObject([{ user: 'Count.', reply: 'One two three four.' }])
  })

  test('is over when its session is deleted, and leaves nothing of it', async () => {
    stack = await startRealtime()
    const client = await stack.connect('?session=tea')
    client.say('Hello.')
    await client.respond()
    const closed = client.closed()
    await stack.sessions.delete('default', 'tea')
    expect(await closed).toBe(4404)
    await stack.realtime.close()
    expect(await stack.sessions.read('default', 'tea')).toBeUndefined()
  })
})

describe('many clients', () => {
  test('that open and say nothing leave room for one that talks', async () => {
    stack = await startRealtime()
    await Promise.all(Array.from({ length: 300 }, () => stack.connect()))
    const client = await stack.connect()
    client.say('Hello.')
    expect((await client.respond())['response']).toMatchObject({ status: 'completed' })
  })

  test('that come and go leave nothing behind', async () => {
    stack = await startRealtime({}, { maxSessions: 5 })
    for (let round = 0; round < 20; round++) {
      const clients = await Promise.all(Array.from({ length: 5 }, () => stack.connect()))
      const closed = clients.map((client) => client.closed())
      for (const { socket } of clients) socket.close()
      await Promise.all(closed)
    }
    expect(stack.sessions.size).toBe(0)
  })
})
