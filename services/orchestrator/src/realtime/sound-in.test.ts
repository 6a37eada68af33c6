import { describe, expect, test } from 'vitest'
import { SoundIn } from './sound-in.ts'

/** s16le: so many milliseconds of one value. */
const level = (ms: number, rateHz: number, value: number): Buffer =>
  Buffer.from(new Int16Array((ms * rateHz) / 1000).fill(value).buffer)
const valuesOf = (pcm: Buffer): Int16Array => new Int16Array(Uint8Array.from(pcm).buffer)

describe('the sound of a client', () => {
  test('is found by its time, as long as it is kept', () => {
    const sound = new SoundIn(24_000)
    for (const value of [1, 2, 3]) sound.append(level(100, 24_000, value))
    expect(sound.totalMs).toBe(300)
    expect([...new Set(valuesOf(sound.between(100, 200)))]).toEqual([2])
    sound.forgetBefore(150)
    expect([sound.totalMs, sound.keptMs]).toEqual([300, 200])
    expect([...new Set(valuesOf(sound.between(0, 300)))]).toEqual([2, 3])
  })

  test('stays when its rate changes, at the rate of now', () => {
    const sound = new SoundIn(24_000)
    sound.append(level(200, 24_000, 9000))
    sound.changeRate(8000)
    sound.append(level(100, 8000, 5000))
    expect([sound.rateHz, sound.totalMs, sound.keptMs]).toEqual([8000, 300, 300])
    const heard = valuesOf(sound.between(100, 300))
    expect(heard.length).toBe(1600)
    expect(Math.abs((heard[400] ?? 0) - 9000)).toBeLessThan(100)
    expect(heard[1200]).toBe(5000)
  })

  test('of another rate is forgotten like any other', () => {
    const sound = new SoundIn(24_000)
    sound.append(level(200, 24_000, 9000))
    sound.changeRate(8000)
    sound.append(level(100, 8000, 5000))
    sound.forgetBefore(250)
    expect(sound.keptMs).toBe(100)
    expect([...new Set(valuesOf(sound.between(0, 300)))]).toEqual([5000])
  })
})
