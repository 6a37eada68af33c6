/** The official client, in both forms of the protocol. It speaks TLS only, so its socket is given to it (C0.9). */
import { connect as connectTcp } from 'node:net'
import OpenAI from 'openai'
import { OpenAIRealtimeWS as BetaClient } from 'openai/beta/realtime/ws'
import { OpenAIRealtimeWS as Client } from 'openai/realtime/ws'
import { afterEach, describe, expect, test } from 'vitest'
import { silentPcm, startRealtime } from '../testing/realtime-stack.ts'

let stack: Awaited<ReturnType<typeof startRealtime>>
afterEach(async () => stack.stop())

const KEY = 'any key of ours'
const openai = (port: number) => new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${port}/v1` })
const plain = (port: number) => ({ options: { createConnection: () => connectTcp(port, '127.0.0.1') } })

describe('the official client', () => {
  test('holds a turn in the GA form', async () => {
    stack = await startRealtime()
    const client = new Client({ model: 'gpt-realtime', ...plain(stack.port) }, openai(stack.port))
    const heard: string[] = []
    const sound: Buffer[] = []
    const done = Promise.withResolvers<unknown>()
    client.on('error', (error) => done.reject(error))
    client.on('response.output_audio_transcript.delta', ({ delta }) => heard.push(delta))
    client.on('response.output_audio.delta', ({ delta }) => sound.push(Buffer.from(delta, 'base64')))
    client.on('response.done', ({ response }) => done.resolve(response))
    client.on('session.created', () => {
      client.send({
        type: 'session.update',
        session: { type: 'realtime', audio: { input: { turn_detection: null } }, output_modalities: ['audio'] },
      })
      client.send({ type: 'input_audio_buffer.append', audio: silentPcm(400) })
      client.send({ type: 'input_audio_buffer.commit' })
      client.send({ type: 'response.create' })
    })
    expect(await done.promise).toMatchObject({ status: 'completed', output: [{ role: 'assistant' }] })
    expect(heard.join('')).toBe('Hello there, Anna. How are you?')
    expect(Buffer.concat(sound).length).toBeGreaterThan(0)
    client.close()
  })

  test('is told its own mistakes by the id of its event', async () => {
    stack = await startRealtime()
    const client = new Client({ model: 'gpt-realtime', ...plain(stack.port) }, openai(stack.port))
    const wrong = Promise.withResolvers<unknown>()
    client.on('error', (error) => wrong.resolve(error.error))
    client.on('session.created', () => client.send({ type: 'response.cancel', event_id: 'mine' }))
    expect(await wrong.promise).toMatchObject({ code: 'response_cancel_not_active', event_id: 'mine' })
    client.close()
  })

  test('transcribes with its intent alone', async () => {
    stack = await startRealtime()
    const client = new Client({ intent: 'transcription', ...plain(stack.port) }, openai(stack.port))
    const text = Promise.withResolvers<string>()
    client.on('error', (error) => text.reject(error))
    client.on('conversation.item.input_audio_transcription.completed', ({ transcript }) => text.resolve(transcript))
    client.on('session.created', () => {
      client.send({
        type: 'session.update',
        session: { type: 'transcription', audio: { input: { turn_detection: null } } },
      })
      client.send({ type: 'input_audio_buffer.append', audio: silentPcm(400) })
      client.send({ type: 'input_audio_buffer.commit' })
    })
    expect(await text.promise).toBe('Good morning.')
    client.close()
  })

  test('holds a turn in the beta form', async () => {
    stack = await startRealtime()
    // It wants the scheme of its address to be TLS's.
    const client = new BetaClient({ model: 'gpt-4o-realtime-preview', ...plain(stack.port) }, openai(stack.port))
    const told: string[] = []
    const done = Promise.withResolvers<unknown>()
    client.on('error', (error) => done.reject(error))
    client.on('event', ({ type }) => told.push(type))
    client.on('response.done', ({ response }) => done.resolve(response))
    client.on('session.created', ({ session }) => {
      expect(session).toMatchObject({ modalities: ['text', 'audio'], input_audio_format: 'pcm16' })
      client.send({
        type: 'session.update',
        session: { modalities: ['text', 'audio'], output_audio_format: 'g711_ulaw', instructions: 'Be brief.' },
      })
      client.send({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello.' }] },
      })
      client.send({ type: 'response.create' })
    })
    expect(await done.promise).toMatchObject({
      status: 'completed',
      modalities: ['text', 'audio'],
      output_audio_format: 'g711_ulaw',
      output: [{ content: [{ type: 'audio', transcript: 'Hello there, Anna. How are you?' }] }],
    })
    expect([...new Set(told)]).toEqual([
      'session.created',
      'session.updated',
      'conversation.item.created',
      'response.created',
      'response.output_item.added',
      'response.content_part.added',
      'response.audio_transcript.delta',
      'response.audio.delta',
      'response.audio.done',
      'response.audio_transcript.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.done',
    ])
    expect(stack.prompts).toMatchObject([{ instructions: 'Be brief.' }])
    client.close()
  })
})
