import type { DetectVoice } from '@hearth/hearing/voice-model'
import { never } from '@hearth/shared/testing/signals'
import { describe, expect, test, vi } from 'vitest'
import { loudIsSpeech } from '../testing/stt-app.ts'
import { fixedChunks } from './fixed-chunks.ts'
import { AudioWindow } from './audio-window.ts'
import type { Chunk } from './sound-reader.ts'
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
  for await (const { from, to } of speechChunks([samples], detect, { maxGapSeconds: 1, ...options }, never))
    chunks.push([from / RATE_HZ, to / RATE_HZ])
  return chunks
}

async function allOf(chunks: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const all: Chunk[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
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
  const chunks = speechChunks([turns(1, 59, 1, 239)], detect, { maxGapSeconds: 1 }, never)
  await chunks.next()
  // The first chunk is out when its minute was heard, not when all five were.
  const listened = () => asked.reduce((sum, frames) => sum + frames, 0)
  expect(listened()).toBeLessThanOrEqual(2 * 1875)
  // In the end each frame was, and of those before a row as many as it asked for.
  await allOf(chunks)
  expect(listened()).toBe(5 * 1875)
})

test('to be heard whole, a recording is cut where it is quiet and nothing left out', async () => {
  const samples = turns(27, 1, 40)
  const chunks = await allOf(fixedChunks([samples]))
  expect(chunks[0]?.to).toBeGreaterThan(27 * RATE_HZ)
  expect(chunks[0]?.to).toBeLessThan(28 * RATE_HZ)
  expect(chunks.map(({ from }) => from)).toEqual([0, ...chunks.slice(0, -1).map(({ to }) => to)])
  expect(chunks.at(-1)?.to).toBe(samples.length)
})

test('into which pieces a recording comes makes no difference', async () => {
  const samples = turns(3, 0.6, 2, 70, 40, 1.2, 8, 0.5, 35, 20)
  const pieces = (size: number) =>
    Array.from({ length: Math.ceil(samples.length / size) }, (_, at) => samples.subarray(at * size, (at + 1) * size))
  for (const chunksOfPieces of [
    (size: number) => speechChunks(pieces(size), loudIsSpeech, { maxGapSeconds: 1 }, never),
    (size: number) => fixedChunks(pieces(size)),
  ]) {
    const whole = await allOf(chunksOfPieces(samples.length))
    expect(whole.length).toBeGreaterThan(3)
    for (const { from, to, samples: sound } of whole)
      expect(sound).toEqual(Float32Array.from(samples.subarray(from, to), (sample) => sample / 32_768))
    for (const size of [160_000, 159_744, 1_000_003]) expect(await allOf(chunksOfPieces(size))).toEqual(whole)
  }
})

describe('of twenty minutes', () => {
  const SECONDS = 1200
  /** One is talk; ten seconds each. */
  const piece = (isTalk: boolean) => new Int16Array(10 * RATE_HZ).fill(isTalk ? 9000 : 0)
  const [talk, silence] = [piece(true), piece(false)]
  function* long(isTalk: (second: number) => boolean) {
    for (let second = 0; second < SECONDS; second += 10) yield isTalk(second) ? talk : silence
  }
  const CASES: [string, (second: number) => boolean][] = [
    ['talk', () => true],
    ['silence after a word', (second) => second === 0],
    ['a word in each minute', (second) => second % 60 === 50],
  ]

  test.each(CASES)('not more than three minutes are held: %s', async (_, isTalk) => {
    using append = vi.spyOn(AudioWindow.prototype, 'append')
    const heard = { speech: 0, whole: 0 }
    for await (const { samples } of speechChunks(long(isTalk), loudIsSpeech, { maxGapSeconds: 5 }, never))
      heard.speech += samples.length
    for await (const { samples } of fixedChunks(long(isTalk))) heard.whole += samples.length
    expect(append).toHaveBeenCalledTimes((2 * SECONDS) / 10)
    expect(heard.speech).toBeGreaterThan(9 * RATE_HZ)
    expect(heard.whole).toBe(SECONDS * RATE_HZ)
    const windows = append.mock.contexts.filter((context) => context instanceof AudioWindow)
    // They don't become smaller.
    const most = Math.max(...windows.map(({ bytes }) => bytes))
    expect(most).toBeLessThan(180 * RATE_HZ * Float32Array.BYTES_PER_ELEMENT)
  })

  test('and what was said before a long silence is on its way before the silence ends', async () => {
    let read = 0
    function* counted() {
      for (const each of long((second) => second === 0)) {
        read += each.length / RATE_HZ
        yield each
      }
    }
    const chunks = speechChunks(counted(), loudIsSpeech, { maxGapSeconds: 5 }, never)
    expect((await chunks.next()).value).toMatchObject({ from: 0 })
    expect(read).toBeLessThanOrEqual(60)
    await chunks.return(undefined)
  })
})
