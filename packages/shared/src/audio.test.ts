import { describe, expect, test } from 'vitest'
import { concat, fromPcm16, mixToMono, pcm16, resample, resampleInTurns } from './audio.ts'
import { never } from './testing/signals.ts'

const tone = (hz: number, sampleRateHz: number, seconds = 1) =>
  Float32Array.from({ length: sampleRateHz * seconds }, (_, at) => Math.sin((2 * Math.PI * hz * at) / sampleRateHz))
const decibel = (samples: Float32Array) =>
  10 * Math.log10(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length + 1e-20)
/** Away from the edges, where a filter sees the silence around the clip. */
const middle = (samples: Float32Array) => samples.subarray(samples.length >> 3, -(samples.length >> 3))

describe('resample', () => {
  test.each([
    [24_000, 16_000, 10_000],
    [48_000, 16_000, 9000],
    [48_000, 16_000, 15_000],
    [44_100, 16_000, 8800],
    [44_100, 24_000, 13_000],
    [22_050, 16_000, 9000],
    [48_000, 8000, 4500],
  ])('%i to %i Hz leaves less than -60 dB of a tone at %i Hz, which the lower rate cannot hold', (from, to, hz) => {
    const { samples } = resample({ samples: tone(hz, from), sampleRateHz: from }, to)
    expect(decibel(middle(samples))).toBeLessThan(-60)
  })

  test.each([
    [48_000, 16_000],
    [44_100, 16_000],
    [24_000, 16_000],
    [22_050, 24_000],
    [8000, 16_000],
    [11_127, 16_000],
  ])('%i to %i Hz keeps a 1 kHz tone: same level, same phase, no delay', (from, to) => {
    const { samples, sampleRateHz } = resample({ samples: tone(1000, from), sampleRateHz: from }, to)
    const wanted = tone(1000, to)
    expect(sampleRateHz).toBe(to)
    expect(samples.length).toBe(to)
    const error = middle(samples.map((sample, at) => sample - (wanted[at] ?? 0)))
    expect(decibel(error)).toBeLessThan(-60)
  })

  test('a rate pair without a small ratio is as clean: its phases are blended, not rounded', () => {
    const { samples } = resample({ samples: tone(1000, 44_101), sampleRateHz: 44_101 }, 15_999)
    const wanted = tone(1000, 15_999)
    const error = middle(samples.map((sample, at) => sample - (wanted[at] ?? 0)))
    expect(decibel(error)).toBeLessThan(-100)
    const alias = resample({ samples: tone(9000, 44_101), sampleRateHz: 44_101 }, 15_999).samples
    expect(decibel(middle(alias))).toBeLessThan(-60)
  })

  test.each([
    [48_000, 16_000],
    [44_100, 16_000],
    [24_000, 16_000],
    [16_000, 24_000],
  ])('%i to %i Hz keeps the level up to 0.8 of the lower band edge', (from, to) => {
    const hz = 0.4 * Math.min(from, to)
    const before = decibel(middle(tone(hz, from)))
    const after = decibel(middle(resample({ samples: tone(hz, from), sampleRateHz: from }, to).samples))
    expect(Math.abs(after - before)).toBeLessThan(0.1)
  })

  test.each([
    [48_000, 16_000, 100, 34],
    [44_100, 16_000, 1, 1],
    [44_100, 16_000, 441, 160],
    [8000, 16_000, 3, 6],
  ])('%i to %i Hz makes of %i samples %i', (from, to, before, after) => {
    expect(resample({ samples: new Float32Array(before), sampleRateHz: from }, to).samples.length).toBe(after)
  })

  test.each([
    [48_000, 0],
    [0, 16_000],
    [1, 16_000],
    [16_000, 4_294_967_295],
    [Number.NaN, 16_000],
    [44_100.5, 16_000],
  ])('%d to %d Hz is refused', (from, to) => {
    const samples = new Float32Array(10)
    expect(() => resample({ samples, sampleRateHz: from }, to)).toThrow(/expected a sample rate/)
  })

  test('the same rate gives the same samples', () => {
    const audio = { samples: tone(440, 16_000), sampleRateHz: 16_000 }
    expect(resample(audio, 16_000)).toBe(audio)
  })

  test('a constant stays that constant, and nothing stays nothing', () => {
    const { samples } = resample({ samples: new Float32Array(9600).fill(0.5), sampleRateHz: 48_000 }, 16_000)
    expect(Math.abs((samples[1600] ?? 0) - 0.5)).toBeLessThan(1e-6)
    expect(resample({ samples: new Float32Array(0), sampleRateHz: 48_000 }, 16_000).samples.length).toBe(0)
  })
})

describe('resampling in turns', () => {
  test('gives the same samples', async () => {
    const audio = { samples: tone(1000, 44_100), sampleRateHz: 44_100 }
    expect(await resampleInTurns(audio, 16_000, never)).toEqual(resample(audio, 16_000))
  })

  test('lets the event loop turn meanwhile, and an abort ends it there', async () => {
    const controller = new AbortController()
    const audio = { samples: new Float32Array(48_000 * 60), sampleRateHz: 48_000 }
    const converted = resampleInTurns(audio, 16_000, controller.signal)
    setImmediate(() => controller.abort(new Error('gone')))
    await expect(converted).rejects.toThrow('gone')
  })
})

describe('pcm16', () => {
  test('goes there and back without loss', () => {
    const samples = Float32Array.from([0, 0.5, -0.5, -1, 32_767 / 32_768, 1 / 32_768])
    expect(fromPcm16(pcm16(samples), 16_000).samples).toEqual(samples)
  })

  test('clips instead of wrapping around, and makes silence of nothing else', () => {
    expect([...new Int16Array(pcm16(Float32Array.from([1, 2, -2])).buffer)]).toEqual([32_767, 32_767, -32_768])
  })

  test('a sample that is no number is silence', () => {
    expect([...pcm16(Float32Array.from([Number.NaN]))]).toEqual([0, 0])
  })

  test('is little-endian, and reads bytes that begin anywhere in their buffer', () => {
    expect([...pcm16(Float32Array.from([1 / 32_768]))]).toEqual([1, 0])
    expect(fromPcm16(Uint8Array.from([9, 0, 64, 0, 192]).subarray(1), 8000).samples).toEqual(
      Float32Array.from([0.5, -0.5]),
    )
  })

  test('leaves out an odd last byte', () => {
    expect(fromPcm16(Uint8Array.from([0, 64, 9]), 8000).samples).toEqual(Float32Array.from([0.5]))
  })
})

describe('mixToMono', () => {
  const speech = tone(300, 8000)

  test('takes the mean of what both channels say', () => {
    expect(mixToMono([Float32Array.from([1, 0]), Float32Array.from([0.5, 0.5])])).toEqual(
      Float32Array.from([0.75, 0.25]),
    )
  })

  test('channels in opposite phase do not cancel to silence', () => {
    expect(mixToMono([speech, speech.map((sample) => -sample)])).toEqual(speech)
  })

  test('one speaker among eight channels is heard at full level', () => {
    const silent = new Float32Array(speech.length)
    expect(mixToMono([...Array.from({ length: 7 }, () => silent), speech])).toEqual(speech)
  })

  test('one speaker among seven noisy channels is heard at full level', () => {
    const noisy = Array.from({ length: 7 }, (_, channel) =>
      tone(500 + 100 * channel, 8000).map((sample) => sample / 30),
    )
    expect(mixToMono([...noisy, speech])).toEqual(speech)
  })

  test('two speakers on two of eight channels are both heard', () => {
    const other = tone(700, 8000)
    const silent = new Float32Array(speech.length)
    const mono = mixToMono([silent, speech, silent, silent, other, silent, silent, silent])
    expect(mono).toEqual(speech.map((sample, at) => Math.fround(sample / 2) + (other[at] ?? 0) / 2))
  })

  test('the softer of two speakers is not lost', () => {
    const soft = tone(700, 8000).map((sample) => sample / 20)
    const mono = mixToMono([speech, soft])
    expect(decibel(mono.map((sample, at) => sample - (speech[at] ?? 0) / 2))).toBeCloseTo(decibel(soft) - 6, 0)
  })
})

test('concat keeps the order', () => {
  expect(concat([Float32Array.from([1]), new Float32Array(0), Float32Array.from([2, 3])])).toEqual(
    Float32Array.from([1, 2, 3]),
  )
})
