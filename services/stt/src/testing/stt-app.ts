/** The app with an engine and a voice detector that do what a test tells them. */
import { FRAME_SAMPLES } from '@hearth/hearing/silero-engine'
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readyModel } from '@hearth/shared/testing/model-status'
import { slotOf } from '@hearth/shared/testing/slot'
import type { SlotModel } from '@hearth/shared/testing/slot'
import { encodeWav } from '@hearth/shared/wav'
import type { Abilities } from '../abilities.ts'
import { createSttApp } from '../app.ts'
import type { SttAppOptions } from '../app.ts'
import { readAudio, streamAudio } from '../audio-file/read-audio.ts'
import type { SpeechInput, Transcript } from '../speech.ts'
import type { Submit } from '../transcribe.ts'

export const STATUS = readyModel('demo/whisper')

export const ABLE: Abilities = {
  family: 'whisper',
  languages: ['en', 'de'],
  canTranslate: true,
  canTimeWords: true,
  canBePrompted: true,
  canMixLengths: true,
}

/** As Moonshine. */
export const UNABLE: Abilities = {
  family: 'moonshine',
  languages: ['en'],
  canTranslate: false,
  canTimeWords: false,
  canBePrompted: false,
  canMixLengths: false,
}

/** What the engine answers: `Good morning.` in one segment, unless told. */
export const heard = (change: Partial<Transcript> = {}): Awaited<ReturnType<Submit>> => {
  const { text = 'Good morning.' } = change
  return {
    output: {
      text,
      language: 'en',
      languageProbability: null,
      noSpeechProbability: 0.01,
      averageLogProbability: -0.25,
      compressionRatio: 0.9,
      temperature: 0,
      segments: text === '' ? [] : [{ startSeconds: 0.1, endSeconds: 0.9, text: ` ${text}`, tokens: [1, 2, 3] }],
      words: [],
      tokens: 3,
      promptTokens: 4,
      windowSeconds: 5,
      ...change,
    },
    queueMs: 1.25,
    inferenceMs: 10,
    batchSize: 2,
    model: 'demo/whisper',
  }
}

/** Everything louder than a whisper is speech. */
export const loudIsSpeech: DetectVoice = async ({ samples, skipFrames }) => {
  const frames = Math.ceil(samples.length / FRAME_SAMPLES)
  const loudest = (frame: number) =>
    samples
      .subarray(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)
      .reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  return Float32Array.from({ length: frames }, (_, frame) => (loudest(frame) > 0.01 ? 0.9 : 0.01)).subarray(skipFrames)
}

type Hearing = {
  model?: SlotModel<SpeechInput, Transcript>
  /** What the model can do; null until its files are there. */
  abilities?: () => Abilities | null
}

/** `inputs`: what reached the engine. */
export function setUp(
  submit: Submit = async () => heard(),
  { model, abilities = () => ABLE, ...overrides }: Partial<SttAppOptions> & Hearing = {},
) {
  const inputs: SpeechInput[] = []
  const scripted: SlotModel<SpeechInput, Transcript> = {
    status: STATUS,
    ready: async () => {},
    submit: (input, signal) => {
      inputs.push(input)
      return submit(input, signal)
    },
  }
  const app = createSttApp({
    slot: slotOf({
      id: 'onnx-community/whisper-base',
      demo: 'whisper',
      model: model ?? scripted,
      prepared: abilities,
    }),
    decode: async (bytes, limits) => {
      const { pieces, ...audio } = await readAudio(bytes, limits)
      return { ...audio, pieces: pieces ?? streamAudio(bytes, limits) }
    },
    detectVoice: loudIsSpeech,
    maxSeconds: 100,
    maxUploadBytes: 8_000_000,
    cacheSeconds: 0,
    log: createLogger({ service: 'stt', level: 'silent' }),
    metrics: createMetrics('stt'),
    ...overrides,
  })
  return { app, inputs }
}

export const tone = (seconds: number, sampleRateHz = 16_000): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: seconds * sampleRateHz }, (_, n) => 0.3 * Math.sin(n / 5))

export const wav = (seconds = 1, sampleRateHz = 16_000) =>
  encodeWav({ samples: tone(seconds, sampleRateHz), sampleRateHz })

/** Sounds and silences in turns, each so many seconds, as a WAV at 16 kHz. The first is a sound. */
export function turns(...seconds: readonly number[]) {
  const parts = seconds.map((each, at) => (at % 2 === 0 ? tone(each) : new Float32Array(each * 16_000)))
  return encodeWav({ samples: Float32Array.from(parts.flatMap((part) => [...part])), sampleRateHz: 16_000 })
}

type Fields = Readonly<Record<string, string | readonly string[]>>

export function form(
  file: Uint8Array<ArrayBuffer> | string | null = wav(),
  fields: Fields = { model: 'whisper-1' },
): FormData {
  const body = new FormData()
  if (typeof file === 'string') body.set('file', file)
  else if (file) body.set('file', new Blob([file], { type: 'application/octet-stream' }), 'a.wav')
  for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) body.append(name, value)
  return body
}
