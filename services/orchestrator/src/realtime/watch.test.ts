import type { Ears } from '@hearth/hearing/speech-watch'
import { describe, expect, test } from 'vitest'
import { SERVER_VAD } from '../testing/play-session.ts'
import type { Speech } from './listener.ts'
import { defaultConfig } from './session-config.ts'
import type { AudioFormat, SessionConfig } from './session-config.ts'
import { rateOf } from './sound-in.ts'
import { watchWith } from './watch.ts'

const FRAME = 512

/** Takes loud frames for speech, once it is there. */
const earsAfter = (loaded: Promise<void>): Ears => ({
  async followVoice({ samples }) {
    await loaded
    const probabilities = Float32Array.from({ length: samples.length / FRAME }, (_, frame) =>
      samples.subarray(frame * FRAME, (frame + 1) * FRAME).some((sample) => Math.abs(sample) > 0.05) ? 0.9 : 0.01,
    )
    return { probabilities, memory: new Float32Array(1) }
  },
  judgeTurnEnd: async () => null,
})

const configOf = (inputFormat: AudioFormat): SessionConfig => ({
  ...defaultConfig('realtime', 'm', '', 'whisper-1'),
  inputFormat,
})

/** s16le: silence, a tone, silence, each of so many milliseconds. */
function sound(rateHz: number, ...parts: readonly [ms: number, isLoud: boolean][]): Buffer {
  const samples = parts.flatMap(([ms, isLoud]) =>
    Array.from({ length: (ms * rateHz) / 1000 }, (_, at) => (isLoud ? Math.round(9000 * Math.sin(at / 4)) : 0)),
  )
  return Buffer.from(Int16Array.from(samples).buffer)
}

async function hear(format: AudioFormat, loaded: Promise<void> = Promise.resolve()): Promise<Speech[]> {
  const watch = watchWith(earsAfter(loaded))(configOf(format))
  if (!watch) throw new Error('expected a watch')
  const rateHz = rateOf(format)
  const pcm = sound(rateHz, [1000, false], [800, true], [1000, false])
  const size = rateHz / 50 // 20 ms
  const found: Promise<readonly Speech[]>[] = []
  for (let at = 0; at < pcm.length; at += 2 * size)
    found.push(watch.push(pcm.subarray(at, at + 2 * size), rateHz, new AbortController().signal))
  return (await Promise.all(found)).flatMap((events) => [...events])
}

const TELEPHONE: AudioFormat = { type: 'audio/pcmu' }
const STUDIO: AudioFormat = { type: 'audio/pcm', rate: 24_000 }

describe('speech in the sound of a client', () => {
  test.each([STUDIO, TELEPHONE])('is found where it is, in $type', async (format) => {
    const events = await hear(format)
    expect(events.map(({ what }) => what)).toEqual(['started', 'paused', 'stopped'])
    const [start, , stop] = events
    // Padding of 300 ms before, 500 ms of silence behind; frames of 32 ms.
    expect(Math.abs((start?.atMs ?? 0) - 700)).toBeLessThan(64)
    expect(Math.abs((stop?.atMs ?? 0) - 2300)).toBeLessThan(64)
    expect(Math.abs((stop?.speechMs ?? 0) - 1100)).toBeLessThan(64)
  })

  test('is found also when it was said while the model still loads', async () => {
    const loaded = Promise.withResolvers<void>()
    const events = hear(STUDIO, loaded.promise)
    loaded.resolve()
    expect((await events).map(({ what }) => what)).toEqual(['started', 'paused', 'stopped'])
  })

  test('goes on when settings and format change in its middle', async () => {
    const watch = watchWith(earsAfter(Promise.resolve()))(configOf(STUDIO))
    if (!watch) throw new Error('expected a watch')
    const { signal } = new AbortController()
    const before = await watch.push(sound(24_000, [1000, false], [400, true]), 24_000, signal)
    watch.configure({ ...SERVER_VAD, silence_duration_ms: 900 })
    const after = await watch.push(sound(8000, [400, true], [1200, false]), 8000, signal)
    expect([before, after].map((events) => events.map(({ what }) => what))).toEqual([
      ['started'],
      ['paused', 'stopped'],
    ])
    // 900 ms behind the end of speech.
    expect(Math.abs((after.at(-1)?.atMs ?? 0) - 2700)).toBeLessThan(64)
  })

  test('is not looked for when the client commits', () => {
    expect(watchWith(earsAfter(Promise.resolve()))({ ...configOf(STUDIO), turnDetection: null })).toBeNull()
  })
})
