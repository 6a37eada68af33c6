/** The voice says a sentence and the ear has to understand it: one button that tells whether the whole of it works, and how fast. */
import type { Transcription } from '@hearth/shared/api'
import { wordErrorRate } from '@hearth/shared/word-error-rate'

export type SelfTest = {
  readonly said: string
  readonly heard: string
  /** 0 is perfect. */
  readonly wordErrorRate: number
  readonly firstByteMs: number
  readonly speechMs: number
  readonly hearingMs: number
  readonly soundSeconds: number
}

export type SelfTestOptions = {
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>
  readonly voice: string
  readonly now: () => number
}

/** Also the demo models know these words. */
export const SENTENCE = 'Make the bathroom lights purple. Count to four.'
const VOICE = 'alloy'
const WAV_HEADER_BYTES = 44
const BYTES_PER_SECOND = 48_000

/** Throws what `fetch` throws. */
export async function runSelfTest({ fetch, voice, now }: SelfTestOptions): Promise<SelfTest> {
  const began = now()
  const asked = { model: 'tts-1', input: SENTENCE, voice: voice || VOICE, response_format: 'wav' }
  const speech = await fetch('v1/audio/speech', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(asked),
  })
  const firstByteMs = now() - began
  const sound = await speech.arrayBuffer()
  const spoken = now()
  const form = new FormData()
  form.append('file', new Blob([sound], { type: 'audio/wav' }), 'self-test.wav')
  form.append('model', 'whisper-1')
  form.append('language', 'en')
  const { text } = (await (
    await fetch('v1/audio/transcriptions', { method: 'POST', body: form })
  ).json()) as Transcription
  return {
    said: SENTENCE,
    heard: text.trim(),
    wordErrorRate: wordErrorRate([[SENTENCE, text]]),
    firstByteMs,
    speechMs: spoken - began,
    hearingMs: now() - spoken,
    soundSeconds: (sound.byteLength - WAV_HEADER_BYTES) / BYTES_PER_SECOND,
  }
}
