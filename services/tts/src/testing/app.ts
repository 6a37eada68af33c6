/** The service as a Hono app over models that the test makes, and requests to it. */
import { ErrorBody } from '@hearth/shared/api'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readyModel } from '@hearth/shared/testing/model-status'
import { slotOf } from '@hearth/shared/testing/slot'
import type { SlotModel } from '@hearth/shared/testing/slot'
import { expect } from 'vitest'
import { createTtsApp } from '../app.ts'
import type { TtsAppOptions } from '../app.ts'
import type { StandIn } from '../speakers.ts'
import type { Speech, SpeechInput } from '../speech.ts'
import type { Submit } from '../speak.ts'

export const RATE = 24_000
export const STATUS = readyModel('demo/kokoro')

export const spoken = (samples: Float32Array, tokens = 5): Awaited<ReturnType<Submit>> => ({
  output: { samples, sampleRateHz: RATE, tokens, words: [{ word: 'x', startMs: 10, endMs: 90 }], isEstimated: true },
  queueMs: 1,
  inferenceMs: 10,
  batchSize: 1,
  model: 'demo/kokoro',
})

/** A tenth of a second of sound for each word. */
export const wordy: Submit = async ({ text }) => spoken(new Float32Array(2400 * text.split(' ').length).fill(0.25))

const espeak: StandIn = {
  status: { ...STATUS, id: 'espeak-ng', source: 'local' },
  start: () => {},
  ready: async () => {},
  submit: async (input, signal) => ({ ...(await wordy(input, signal)), model: 'espeak-ng' }),
}

type Speaking = { model?: SlotModel<SpeechInput, Speech>; voices?: () => readonly string[] | null }

export function setUp(
  submit: Submit = wordy,
  { model, voices = () => ['af_demo', 'am_demo'], ...overrides }: Partial<TtsAppOptions> & Speaking = {},
) {
  const inputs: SpeechInput[] = []
  const signals: AbortSignal[] = []
  const scripted: SlotModel<SpeechInput, Speech> = {
    status: STATUS,
    ready: async () => {},
    submit: (input, signal) => {
      inputs.push(input)
      signals.push(signal)
      return submit(input, signal)
    },
  }
  const app = createTtsApp({
    slot: slotOf({
      id: 'onnx-community/Kokoro-82M-v1.0-ONNX',
      demo: 'kokoro',
      model: model ?? scripted,
      prepared: voices,
    }),
    standIn: espeak,
    knownVoices: ['af_known'],
    defaultVoice: 'af_heart',
    maxChars: 1000,
    phraseCacheBytes: 0,
    log: createLogger({ service: 'tts', level: 'silent' }),
    metrics: createMetrics('tts'),
    ...overrides,
  })
  return { app, inputs, signals }
}

export const post = async (
  app: ReturnType<typeof createTtsApp>,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> =>
  app.request('/v1/audio/speech', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
  })

export const GOOD = { model: 'tts-1', input: 'Hello there. How are you?', voice: 'alloy' }

export async function expectError(response: Response, status: number, code: string): Promise<string> {
  const { error } = ErrorBody.parse(await response.json())
  expect([response.status, error.code]).toEqual([status, code])
  return error.message
}
