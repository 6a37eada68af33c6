/** Speech that comes before any model is there: it is kept while the real ear and voice load, heard whole, and answered. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { ReadyReport } from '@hearth/shared/api'
import { pcm16, resample } from '@hearth/shared/audio'
import { decodeWav } from '@hearth/shared/wav'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import OpenAI from 'openai'
import { OpenAIRealtimeWS as Client } from 'openai/realtime/ws'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordingPath, transcriptOf } from './spoken.ts'
import { inCompose, startStack } from './stack.ts'
import type { Stack } from './stack.ts'

const QUESTION = '008.wav'
const SILENCE_BYTES = 3 * 48_000

/** A voice that loads on a busy machine begins late, and is answered without then: how late is not what is asked here. */
const LAZY = { STT_PRELOAD: 'lazy', TTS_PRELOAD: 'lazy', CHAT_PRELOAD: 'lazy', TTS_FIRST_BYTE_MS: '55000' }

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ env: LAZY })
})
afterAll(async () => stack.stop())

async function statesOf(service: 'stt' | 'tts'): Promise<string[]> {
  const { models } = ReadyReport.parse(await (await fetch(`${stack.url[service]}/ready`)).json())
  return models.map(({ state }) => state)
}

test.skipIf(inCompose)('what is said before the models are there is heard and answered', async () => {
  expect([await statesOf('stt'), await statesOf('tts')]).toEqual([['idle'], ['idle']])
  const port = Number(new URL(stack.url.orchestrator).port)
  const openai = new OpenAI({ apiKey: 'none', baseURL: `${stack.url.orchestrator}/v1` })
  const options = { createConnection: () => connect(port, '127.0.0.1') }
  const client = new Client({ model: 'hearth', options }, openai)
  const told: string[] = []
  let transcript = ''
  let soundBytes = 0
  client.on('event', ({ type }) => told.push(type))
  client.on('conversation.item.input_audio_transcription.completed', (event) => {
    transcript = event.transcript
  })
  client.on('response.output_audio.delta', ({ delta }) => {
    soundBytes += Buffer.byteLength(delta, 'base64')
  })
  const failed = new Promise((_resolve, reject) => client.on('error', reject))
  const done = new Promise((resolve) => client.on('response.done', resolve))
  client.on('session.created', () => {
    const { samples } = resample(decodeWav(readFileSync(recordingPath(QUESTION))), 24_000)
    const audio = Buffer.concat([pcm16(samples), Buffer.alloc(SILENCE_BYTES)]).toString('base64')
    client.send({ type: 'input_audio_buffer.append', audio })
  })
  expect(await Promise.race([done, failed])).toMatchObject({ response: { status: 'completed' } })
  expect(told[0]).toBe('session.created')
  expect(told.filter((type) => type === 'response.done')).toHaveLength(1)
  expect(wordErrorRate([[transcriptOf(QUESTION), transcript]])).toBeLessThanOrEqual(0.25)
  expect(soundBytes).toBeGreaterThan(48_000 / 4)
  client.close()
})
