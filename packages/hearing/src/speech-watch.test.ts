import { AppError } from '@hearth/shared/errors'
import { gate, never, settle } from '@hearth/shared/testing/signals'
import { expect, test, vi } from 'vitest'
import { FRAME_SAMPLES } from './silero-engine.ts'
import { SpeechWatch } from './speech-watch.ts'
import type { Ears, SpeechEvent, SpeechWatchOptions, TurnDetection } from './speech-watch.ts'

const VAD: TurnDetection = { type: 'server_vad', threshold: 0.5, prefixPaddingMs: 0, silenceMs: 500 }
const SEMANTIC: TurnDetection = { type: 'semantic_vad', eagerness: 'medium' }

/** Loud frames are speech; `memory` counts the frames of the conversation so far. */
const follow: Ears['followVoice'] = async ({ samples, memory }) => {
  const probabilities = Float32Array.from(
    { length: samples.length / FRAME_SAMPLES },
    (_, at) => samples[at * FRAME_SAMPLES] ?? 0,
  )
  return { probabilities, memory: Float32Array.of((memory?.[0] ?? 0) + probabilities.length) }
}

/** `##..` as sound: a speech frame is loud. */
const sound = (frames: string): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: frames.length * FRAME_SAMPLES }, (_, at) =>
    frames[Math.floor(at / FRAME_SAMPLES)] === '#' ? 1 : 0,
  )
const silence = (frames: number) => '.'.repeat(frames)
const inFrames = (events: readonly SpeechEvent[]) =>
  events.map(({ type, atSample }) => [type, atSample / FRAME_SAMPLES])

function setUp(change: Partial<SpeechWatchOptions> = {}) {
  const followVoice = vi.fn<Ears['followVoice']>(follow)
  const judgeTurnEnd = vi.fn<Ears['judgeTurnEnd']>(async () => 0.9)
  const watch = new SpeechWatch({ followVoice, judgeTurnEnd, detection: VAD, ...change })
  return { watch, followVoice, judgeTurnEnd, hear: (frames: string) => watch.push(sound(frames), never) }
}

const TURN = `..##${silence(20)}`
const EVENTS = [
  ['started', 2],
  ['paused', 11],
  ['stopped', 20],
]

test('in pieces of any length the same is heard', async () => {
  for (const length of [1000, 160, 511, 512, 513, 5000, 100_000]) {
    const { watch, followVoice } = setUp()
    const all = sound(TURN)
    const events: SpeechEvent[] = []
    for (let at = 0; at < all.length; at += length)
      events.push(...(await watch.push(all.subarray(at, at + length), never)))
    expect(inFrames(events)).toEqual(EVENTS)
    expect(watch.position).toBe(all.length)
    // Each piece has the memory of the one before.
    let frames = 0
    for (const [{ samples, memory }] of followVoice.mock.calls) {
      expect(memory?.[0] ?? 0).toBe(frames)
      frames += samples.length / FRAME_SAMPLES
    }
    expect(all[2 * FRAME_SAMPLES]).toBe(1) // the caller's own sound is untouched
  }
})

test('what is pushed without waiting is heard in order', async () => {
  const { hear } = setUp()
  const events = await Promise.all(Array.from(TURN, (frame) => hear(frame)))
  expect(inFrames(events.flat())).toEqual(EVENTS)
})

test('one conversation takes at most a second of a batch', async () => {
  const { hear, followVoice } = setUp()
  await hear(silence(100))
  expect(followVoice.mock.calls.map(([{ samples }]) => samples.length / FRAME_SAMPLES)).toEqual([32, 32, 32, 4])
})

test('more than a minute that waits is refused, and nothing of it is counted', async () => {
  const held = gate()
  const { watch, hear } = setUp({
    followVoice: async (input, signal) => held.promise.then(() => follow(input, signal)),
  })
  const first = hear(TURN)
  const second = hear(silence(1000))
  await expect(hear(silence(900))).rejects.toMatchObject({ code: 'overloaded' })
  expect(watch.position).toBe((TURN.length + 1000) * FRAME_SAMPLES)
  held.resolve()
  expect(inFrames(await first)).toEqual(EVENTS)
  await expect(second).resolves.toEqual([])
  await expect(hear('##')).resolves.toMatchObject([{ type: 'started' }])
})

test('sound that the detector failed on is passed over, and time goes on', async () => {
  const followVoice = vi.fn<Ears['followVoice']>(follow).mockRejectedValueOnce(new AppError('engine_failed', 'broken'))
  const { hear } = setUp({ followVoice })
  await expect(hear(silence(100))).rejects.toMatchObject({ code: 'engine_failed' })
  expect(inFrames(await hear('.##'))).toEqual([['started', 101]])
})

test('after a reset nothing of earlier sound is told, not even of what is being heard', async () => {
  const held = gate()
  const { watch, hear } = setUp({
    followVoice: async (input, signal) => held.promise.then(() => follow(input, signal)),
  })
  const before = hear('..##')
  watch.reset()
  held.resolve()
  await expect(before).resolves.toEqual([])
  expect(inFrames(await hear('##'))).toEqual([['started', 4]])
  watch.reset()
  await expect(hear(silence(30))).resolves.toEqual([])
})

test('the turn-end model is asked at a pause, of this turn alone, eight seconds at most', async () => {
  const { hear, judgeTurnEnd } = setUp({ detection: SEMANTIC })
  expect(inFrames(await hear(`${silence(20)}##${silence(20)}`))).toEqual([
    ['started', 20 - 300 / 32],
    ['paused', 29],
    ['stopped', 30],
  ])
  expect(judgeTurnEnd).toHaveBeenCalledOnce()
  const [asked] = judgeTurnEnd.mock.calls[0] ?? []
  expect(asked).toEqual(sound(`${silence(20)}##${silence(7)}`).subarray(20 * FRAME_SAMPLES - 4800))

  await hear(`${'#'.repeat(300)}${silence(10)}`)
  const [long] = judgeTurnEnd.mock.calls[1] ?? []
  expect(long).toEqual(sound(`${'#'.repeat(243)}${silence(7)}`))
})

test('a pause is told before its question is answered, and what follows waits for the answer', async () => {
  const answer = gate<number | null>()
  const { hear } = setUp({ detection: SEMANTIC, judgeTurnEnd: () => answer.promise })
  expect(inFrames(await hear(`##${silence(7)}`)).at(-1)).toEqual(['paused', 9])
  const next = hear('.')
  let isHeard = false
  void next.then(() => (isHeard = true))
  await settle()
  expect(isHeard).toBe(false)
  answer.resolve(1)
  expect(inFrames(await next)).toEqual([['stopped', 10]])
})

test('an answer that comes after a reset ends nothing', async () => {
  const answer = gate<number | null>()
  const { watch, hear } = setUp({ detection: SEMANTIC, judgeTurnEnd: () => answer.promise })
  await hear(`##${silence(7)}`)
  watch.reset()
  answer.resolve(1)
  expect(inFrames(await hear(`.##${silence(3)}`))).toEqual([['started', 9]])
})

test('a conversation that ends while its question is open ends quietly', async () => {
  const closing = new AbortController()
  const judgeTurnEnd: Ears['judgeTurnEnd'] = (_, signal) =>
    new Promise((_done, fail) => signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true }))
  const { watch } = setUp({ detection: SEMANTIC, judgeTurnEnd })
  await watch.push(sound(`##${silence(7)}`), closing.signal)
  closing.abort(new Error('gone'))
  await settle()
  await expect(watch.push(sound('.'), closing.signal)).rejects.toThrow('gone')
  // The question was that push's: the next one has its own.
  await expect(watch.push(sound('##'), never)).resolves.toMatchObject([{ type: 'resumed' }])
})

test('other settings hold from the next frame on', async () => {
  const { watch, hear } = setUp()
  await hear('##')
  watch.configure({ ...VAD, silenceMs: 200 })
  expect(inFrames(await hear(silence(10)))).toEqual([['stopped', 9]])
  watch.configure(SEMANTIC)
  expect(inFrames(await hear(`##${silence(10)}`))).toEqual([
    ['started', 9],
    ['paused', 21],
    ['stopped', 22],
  ])
})
