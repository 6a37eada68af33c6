import type { DetectVoice } from '@hearth/hearing/voice-model'
import { never } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { loudIsSpeech } from '../testing/stt-app.ts'
import { fixedChunks } from './fixed-chunks.ts'
import { speechChunks } from './speech-chunks.ts'
import type { ChunkOptions } from './speech-chunks.ts'

const RATE_HZ = 16_000

/** Sounds and silences in turns, seconds each; the first is a sound. */
function turns(...seconds: readonly number[]): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(RATE_HZ * seconds.reduce((sum, each) => sum + each, 0))
  let at = 0
  for (const [index, each] of seconds.entries()) {
    if (index % 2 === 0) samples.fill(9000, at, at + each * RATE_HZ)
    at += each * RATE_HZ
  }
  return samples
}

async function chunksOf(samples: Int16Array, options: Partial<ChunkOptions> = {}, detect = loudIsSpeech) {
  const chunks: number[][] = []
  for await (const { from, to } of speechChunks(samples, detect, { maxGapSeconds: 1, ...options }, never))
    chunks.push([from / RATE_HZ, to / RATE_HZ])
  return chunks
}

const about = (...values: number[]) => values.map((value) => expect.closeTo(value, 1))

test('silence is left out, but for a little around what is said', async () => {
  expect(await chunksOf(turns(0, 5, 2, 5))).toEqual([about(4.7, 7.3)])
  expect(await chunksOf(turns(0, 5))).toEqual([])
  expect(await chunksOf(turns(2))).toEqual([about(0, 2)])
})

test('a short recording is heard as it is, as soon as there is enough speech in it', async () => {
  const asked: unknown[] = []
  const detect: DetectVoice = async (input, signal) => {
    asked.push(input.enough)
    return (await loudIsSpeech(input, signal)).subarray(0, 20)
  }
  expect(await chunksOf(turns(1, 3), {}, detect)).toEqual([[0, 4]])
  expect(await chunksOf(turns(0, 4), {}, detect)).toEqual([])
  expect(asked[0]).toEqual({ threshold: 0.5, frames: 8 })
})

test('what lies close together is packed while a window has room', async () => {
  const talk = turns(...Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? 5 : 0.8)))
  const chunks = await chunksOf(talk)
  expect(chunks).toHaveLength(2)
  for (const [from = 0, to = 0] of chunks) expect(to - from).toBeLessThanOrEqual(30)
})

test('no padding makes a chunk longer than the engine takes', async () => {
  const [[from = 0, to = 0] = []] = await chunksOf(turns(0, 10, 28, 10), { padSeconds: 5 })
  expect(to - from).toBeGreaterThan(29)
  expect(to - from).toBeLessThanOrEqual(30)
})

test('a longer pause begins a new chunk, unless windows are better full', async () => {
  const talk = turns(3, 2, 3, 2, 3)
  expect(await chunksOf(talk)).toHaveLength(3)
  expect(await chunksOf(talk, { maxGapSeconds: 5 })).toHaveLength(1)
})

test('one long sound is cut without a gap and without overlap', async () => {
  const chunks = await chunksOf(turns(200))
  for (const [at, [from]] of chunks.entries()) expect(from).toBe(chunks[at - 1]?.[1] ?? 0)
  expect(chunks.at(-1)?.[1]).toBe(200)
})

test('a minute at a time is listened to, in rows that begin a little early', async () => {
  const asked: number[] = []
  const detect: DetectVoice = async (input, signal) => {
    asked.push(input.samples.length / 512 - input.skipFrames)
    return loudIsSpeech(input, signal)
  }
  const chunks = speechChunks(turns(1, 59, 1, 239), detect, { maxGapSeconds: 1 }, never)
  await chunks.next()
  // The first chunk is out when its minute was heard, not when all five were.
  expect(asked.reduce((sum, frames) => sum + frames, 0)).toBeLessThanOrEqual(2 * 1875)
  await chunks.return(undefined)
})

test('to be heard whole, a recording is cut where it is quiet and nothing left out', () => {
  const samples = turns(27, 1, 40)
  const chunks = [...fixedChunks(samples)]
  expect(chunks[0]?.to).toBeGreaterThan(27 * RATE_HZ)
  expect(chunks[0]?.to).toBeLessThan(28 * RATE_HZ)
  expect(chunks.map(({ from }) => from)).toEqual([0, ...chunks.slice(0, -1).map(({ to }) => to)])
  expect(chunks.at(-1)?.to).toBe(samples.length)
})
