import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeWav } from '@hearth/shared/wav'
import { never } from '@hearth/shared/testing/signals'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DecodeThreads } from './decode-threads.ts'
import type { DecodeOptions } from './decode-threads.ts'
import type { Pieces } from '../voice/sound-reader.ts'
import { DecodeWorker } from './decode-worker.ts'

const LIMITS = { minSeconds: 0.1, maxSeconds: 7200 }
const mp3 = () => Uint8Array.from(readFileSync(join(import.meta.dirname, '../testing/recordings/speech.mp3')))
const wav = (seconds: number) => encodeWav({ samples: new Float32Array(seconds * 16_000), sampleRateHz: 16_000 })

async function* inTurn(pieces: Pieces) {
  yield* pieces
}

let threads: DecodeThreads | undefined
afterEach(() => threads?.close())
const open = (options: Partial<DecodeOptions> = {}) => (threads = new DecodeThreads({ threads: 2, ...options }))

test('files are decoded side by side, each to its own caller, and threads are used again', async () => {
  const pool = open()
  const lengths = [1, 2, 3, 4, 5]
  const heard = await Promise.all(lengths.map((seconds) => pool.decode(wav(seconds), LIMITS, never)))
  expect(heard.map(({ seconds }) => seconds)).toEqual(lengths)
  expect((await pool.decode(mp3(), LIMITS, never)).seconds).toBeGreaterThan(3)
})

test('a refusal comes through with its code, and the thread goes on', async () => {
  const pool = open({ threads: 1 })
  await expect(pool.decode(new TextEncoder().encode('hello, world'), LIMITS, never)).rejects.toMatchObject({
    code: 'undecodable_audio',
    param: 'file',
  })
  expect((await pool.decode(wav(1), LIMITS, never)).seconds).toBe(1)
})

test('a file that takes too long is refused, and the next one gets a new thread', async () => {
  const pool = open({ threads: 1, limitMs: 0 })
  await expect(pool.decode(mp3(), LIMITS, never)).rejects.toMatchObject({ code: 'undecodable_audio' })
  const next = new DecodeThreads({ threads: 1 })
  expect((await next.decode(wav(1), LIMITS, never)).seconds).toBe(1)
  await next.close()
})

test('whoever leaves frees its place; beyond those that may wait, files are refused', async () => {
  const pool = open({ threads: 1, maxWaiting: 1 })
  const leaving = new AbortController()
  const first = pool.decode(mp3(), LIMITS, leaving.signal)
  const second = pool.decode(wav(1), LIMITS, never)
  await expect(pool.decode(wav(1), LIMITS, never)).rejects.toMatchObject({ code: 'overloaded' })
  leaving.abort(new Error('left'))
  await expect(first).rejects.toThrow('left')
  expect((await second).seconds).toBe(1)
})

test('whoever leaves while waiting is not decoded', async () => {
  const pool = open({ threads: 1 })
  const leaving = new AbortController()
  const first = pool.decode(mp3(), LIMITS, never)
  const second = pool.decode(wav(1), LIMITS, leaving.signal)
  leaving.abort(new Error('left'))
  await expect(second).rejects.toThrow('left')
  expect((await first).seconds).toBeGreaterThan(3)
  expect((await pool.decode(wav(2), LIMITS, never)).seconds).toBe(2)
})

describe('a long recording', () => {
  /** 4000 Hz, so that it is quickly made. */
  const long = () => encodeWav({ samples: new Float32Array(700 * 4000).fill(0.5), sampleRateHz: 4000 })

  test('comes piece by piece, while other files are decoded', async () => {
    const pool = open({ threads: 1 })
    const { seconds, pieces } = await pool.decode(long(), LIMITS, never)
    expect(seconds).toBe(700)
    const stream = inTurn(pieces)
    let samples = (await stream.next()).value?.length ?? 0
    expect((await pool.decode(wav(1), LIMITS, never)).seconds).toBe(1)
    for (let next = await stream.next(); !next.done; next = await stream.next()) samples += next.value.length
    expect(samples).toBe(700 * 16_000)
    expect((await pool.decode(wav(2), LIMITS, never)).seconds).toBe(2)
  })

  test('whose hearer leaves ends with its thread', async () => {
    const pool = open({ threads: 1 })
    const end = vi.spyOn(DecodeWorker.prototype, 'end')
    const { pieces } = await pool.decode(long(), LIMITS, never)
    for await (const piece of pieces) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
    expect(end).toHaveBeenCalledTimes(1)
    const leaving = new AbortController()
    const stream = inTurn((await pool.decode(long(), LIMITS, leaving.signal)).pieces)
    await stream.next()
    const next = stream.next()
    leaving.abort(new Error('left'))
    await expect(next).rejects.toThrow('left')
    expect(end).toHaveBeenCalledTimes(2)
    expect((await pool.decode(wav(1), LIMITS, never)).seconds).toBe(1)
  })
})
