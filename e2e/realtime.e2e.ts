/** Conversations over WebSocket with the official client and recorded speech: real ears, turn ends and voice; a language model that the test holds. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { pcm16, resample } from '@hearth/shared/audio'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { decodeWav, wavHeader } from '@hearth/shared/wav'
import OpenAI from 'openai'
import { OpenAIRealtimeWS as BetaClient } from 'openai/beta/realtime/ws'
import { OpenAIRealtimeWS as Client } from 'openai/realtime/ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendJson, startStub } from '../services/orchestrator/src/testing/http-stub.ts'
import type { HttpStub } from '../services/orchestrator/src/testing/http-stub.ts'
import { measure, recordingPath, transcriptOf } from './spoken.ts'
import { startStack } from './stack.ts'
import type { Stack } from './stack.ts'

const FIRST = 'Open the window, please. Then look at the garden. '
const REST = 'Then close the door.'
const QUESTION = '008.wav'

let ollama: HttpStub
let stack: Stack
/** Opens for the rest of the reply. */
let gate = Promise.withResolvers<void>()
/** Resolves when a reply that waits at the gate is given up. */
let leftEarly = Promise.withResolvers<void>()

beforeAll(async () => {
  gate.resolve()
  ollama = await startStub((response, { path, body }) => {
    if (path === '/api/tags') return sendJson(response, { models: [{ name: 'm:1' }] })
    if (!body.includes('"stream":true')) return sendJson(response, { done: true })
    response.write(line(FIRST))
    const { resolve } = leftEarly
    response.on('close', () => response.writableFinished || resolve())
    void gate.promise.then(() => response.end(line(REST) + line('', true)))
  })
  stack = await startStack({ env: { OLLAMA_URL: ollama.url, OLLAMA_MODEL: 'm:1' } })
})
afterAll(async () => {
  gate.resolve()
  await stack?.stop()
  await ollama.close()
})

const line = (content: string, done = false) => `${JSON.stringify({ message: { role: 'assistant', content }, done })}\n`

const openai = () => new OpenAI({ apiKey: 'none', baseURL: `${stack.url.orchestrator}/v1` })
/** The client speaks TLS only, unless it is given its connection. */
const plain = () => ({
  options: { createConnection: () => connect(Number(new URL(stack.url.orchestrator).port), '127.0.0.1') },
})

const FRAME_BYTES = 4800
/** A recording as a microphone would send it, in tenths of a second. Behind it is as much silence as any turn end takes. */
function* frames(name: string, silenceSeconds = 5): Generator<string, void, void> {
  const { samples } = resample(decodeWav(readFileSync(recordingPath(name))), 24_000)
  const sound = Buffer.concat([pcm16(samples), Buffer.alloc(silenceSeconds * 48_000)])
  for (let at = 0; at < sound.length; at += FRAME_BYTES) yield sound.subarray(at, at + FRAME_BYTES).toString('base64')
}

function hearReply(client: Client): { text: () => string; sound: () => Buffer } {
  const text: string[] = []
  const sound: Buffer[] = []
  client.on('response.output_audio_transcript.delta', ({ delta }) => text.push(delta))
  client.on('response.output_audio.delta', ({ delta }) => sound.push(Buffer.from(delta, 'base64')))
  return { text: () => text.join(''), sound: () => Buffer.concat(sound) }
}

const say = (client: Client, name: string) => {
  for (const audio of frames(name)) client.send({ type: 'input_audio_buffer.append', audio })
}

/** The next event of that type. */
const once = (client: Client, type: string) =>
  new Promise<object>((resolve) => client.on('event', (event) => event.type === type && resolve(event)))

describe('a spoken turn', () => {
  test.each(['server_vad', 'semantic_vad'] as const)('is heard, answered and spoken with %s', async (type) => {
    const client = new Client({ model: 'gpt-realtime', ...plain() }, openai())
    const failed = new Promise((_resolve, reject) => client.on('error', reject))
    const reply = hearReply(client)
    const transcript = once(client, 'conversation.item.input_audio_transcription.completed')
    const done = once(client, 'response.done')
    client.on('session.created', () => {
      client.send({
        type: 'session.update',
        session: { type: 'realtime', audio: { input: { turn_detection: { type } } } },
      })
      say(client, QUESTION)
    })
    expect(await Promise.race([done, failed])).toMatchObject({ response: { status: 'completed' } })
    const { transcript: heard } = Object(await transcript)
    expect(wordErrorRate([[transcriptOf(QUESTION), String(heard)]])).toBeLessThanOrEqual(0.25)
    expect(reply.text()).toBe(FIRST + REST)
    const sound = reply.sound()
    const wav = Buffer.concat([wavHeader({ sampleRateHz: 24_000, sampleCount: sound.length / 2 }), sound])
    const { seconds, level } = measure(wav)
    expect(seconds).toBeGreaterThan(1)
    expect(level).toBeGreaterThan(0.005)
    client.close()
  })

  test('is interrupted: the reply ends, and its work', async () => {
    gate = Promise.withResolvers()
    leftEarly = Promise.withResolvers()
    const client = new Client({ model: 'gpt-realtime', ...plain() }, openai())
    const failed = new Promise((_resolve, reject) => client.on('error', reject))
    client.on('session.created', () => say(client, QUESTION))
    await Promise.race([once(client, 'response.output_audio.delta'), failed])
    const told: string[] = []
    client.on('event', ({ type }) => told.push(type))
    const done = once(client, 'response.done')
    for (const audio of frames('011.wav', 0)) client.send({ type: 'input_audio_buffer.append', audio })
    expect(await Promise.race([done, failed])).toMatchObject({
      response: { status: 'cancelled', status_details: { reason: 'turn_detected' } },
    })
    await leftEarly.promise
    const start = told.indexOf('input_audio_buffer.speech_started')
    expect(told.slice(start)).not.toContain('response.output_audio.delta')
    gate.resolve()
    client.close()
  })

  test('is held in the beta form with telephone sound', async () => {
    const client = new BetaClient({ model: 'gpt-4o-realtime-preview', ...plain() }, openai())
    const failed = new Promise((_resolve, reject) => client.on('error', reject))
    const done = new Promise<unknown>((resolve) => client.on('response.done', resolve))
    const sound: Buffer[] = []
    client.on('response.audio.delta', ({ delta }) => sound.push(Buffer.from(delta, 'base64')))
    client.on('session.created', () => {
      client.send({ type: 'session.update', session: { output_audio_format: 'g711_ulaw' } })
      for (const audio of frames(QUESTION)) client.send({ type: 'input_audio_buffer.append', audio })
    })
    expect(await Promise.race([done, failed])).toMatchObject({
      response: { status: 'completed', output: [{ content: [{ type: 'audio', transcript: FIRST + REST }] }] },
    })
    expect(Buffer.concat(sound).length).toBeGreaterThan(8000)
    client.close()
  })
})
