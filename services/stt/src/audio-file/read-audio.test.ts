import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '@hearth/shared/errors'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { readAudio, streamAudio } from './read-audio.ts'

const folder = join(import.meta.dirname, '../testing/recordings')
const recording = (name: string) => Uint8Array.from(readFileSync(join(folder, name)))
const LIMITS = { minSeconds: 0.1, maxSeconds: 100 }
const original = decodeWav(readFileSync(join(import.meta.dirname, '../../../../models/speech/012.wav')))

const refusal = async (bytes: Uint8Array<ArrayBuffer>, limits = LIMITS) => {
  const error = await readAudio(bytes, limits).catch((thrown: unknown) => thrown)
  return error instanceof AppError ? error.code : error
}

const heard = async (bytes: Uint8Array<ArrayBuffer>) => {
  const { pieces, ...audio } = await readAudio(bytes, LIMITS)
  return { ...audio, samples: joined(pieces ?? []) }
}

const joined = (pieces: readonly Int16Array[]) => Int16Array.from(pieces.flatMap((piece) => [...piece]))

/** How alike two sounds are, from -1 to 1, where one may begin up to 0.1 s later than the other. */
function likeness(a: Float32Array, b: Int16Array): number {
  let best = -1
  for (let shift = 0; shift < 1600; shift += 1) {
    let [dot, aa, bb] = [0, 0, 0]
    for (let at = 0; at < a.length; at += 3) {
      const x = a[at] ?? 0
      const y = b[at + shift] ?? 0
      dot += x * y
      aa += x * x
      bb += y * y
    }
    best = Math.max(best, dot / Math.sqrt(aa * bb + 1e-9))
  }
  return best
}

/** The reader of containers says there what it does not know. In a decoding thread nobody listens. */
beforeEach(() => {
  for (const method of ['warn', 'error'] as const) vi.spyOn(console, method).mockImplementation(() => undefined)
})

const NAMES = [
  'speech.mp3',
  'speech.flac',
  'speech.opus.ogg',
  'speech.vorbis.ogg',
  'speech.webm',
  'speech.live.webm',
  'speech.m4a',
  'speech.fragmented.mp4',
  'speech.aac',
  'film.mp4',
]

for (const name of NAMES)
  test(`${name} sounds like the recording it was made of`, async () => {
    const { samples, seconds, warnings } = await heard(recording(name))
    const length = name === 'film.mp4' ? 3 : original.samples.length / 16_000
    expect(Math.abs(seconds - length)).toBeLessThan(0.15)
    expect(Math.abs(samples.length / 16_000 - seconds)).toBeLessThan(0.001)
    expect(likeness(original.samples.subarray(0, 40_000), samples)).toBeGreaterThan(0.75)
    expect(warnings).toEqual([])
  })

test.each([...NAMES, 'speech.wav'])(
  '%s gives the same samples when it is read and when it is streamed',
  async (name) => {
    const file = () => (name === 'speech.wav' ? encodeWav(original) : recording(name))
    const { samples } = await heard(file())
    const streamed: Int16Array[] = []
    for await (const piece of streamAudio(file(), LIMITS)) streamed.push(piece)
    expect(joined(streamed)).toEqual(samples)
  },
)

test('of a recording of more than ten minutes no samples are held while it is read', async () => {
  const LONG = { minSeconds: 0.1, maxSeconds: 3600 }
  const wav = (seconds: number) => encodeWav({ samples: new Float32Array(seconds * 4000), sampleRateHz: 4000 })
  expect(joined((await readAudio(wav(599), LONG)).pieces ?? [])).toHaveLength(599 * 16_000)
  expect(await readAudio(wav(700), LONG)).toEqual({ seconds: 700, warnings: [], pieces: null })
  let [count, most] = [0, 0]
  for await (const { length } of streamAudio(wav(700), LONG)) [count, most] = [count + length, Math.max(most, length)]
  expect(count).toBe(700 * 16_000)
  expect(most).toBeLessThanOrEqual(30 * 16_000)
})

test('a long recording is resampled in pieces as if it were in one', async () => {
  const sampleRateHz = 44_100
  const tone = Float32Array.from(
    { length: 25 * sampleRateHz },
    (_, n) => 0.5 * Math.sin((2 * Math.PI * 440 * n) / sampleRateHz),
  )
  const { samples } = await heard(encodeWav({ samples: tone, sampleRateHz }))
  expect(samples).toHaveLength(25 * 16_000)
  let worst = 0
  for (let n = 1000; n < samples.length - 1000; n++)
    worst = Math.max(worst, Math.abs((samples[n] ?? 0) / 32_768 - 0.5 * Math.sin((2 * Math.PI * 440 * n) / 16_000)))
  expect(worst).toBeLessThan(1e-3)
})

describe('a file that says itself that it is too long', () => {
  const SHORT = { minSeconds: 0.1, maxSeconds: 2 }
  const CLAIMS = [
    'speech.mp3',
    'speech.flac',
    'speech.opus.ogg',
    'speech.vorbis.ogg',
    'speech.webm',
    'speech.m4a',
    'film.mp4',
  ]

  test.each(CLAIMS)('is refused before anything of it is decoded: %s', async (name) => {
    const onSeconds = vi.fn<(seconds: number) => void>()
    await expect(readAudio(recording(name), SHORT, onSeconds)).rejects.toMatchObject({ code: 'audio_too_long' })
    expect(onSeconds).not.toHaveBeenCalled()
  })

  test.each(['speech.aac', 'speech.live.webm', 'speech.fragmented.mp4'])(
    'or says nothing is refused while it is decoded: %s',
    async (name) => {
      const onSeconds = vi.fn<(seconds: number) => void>()
      await expect(readAudio(recording(name), SHORT, onSeconds)).rejects.toMatchObject({ code: 'audio_too_long' })
      expect(onSeconds).toHaveBeenCalled()
    },
  )

  test('or lies is refused while it is decoded', async () => {
    const flac = recording('speech.flac')
    // STREAMINFO's number of samples: a tenth of a second.
    new DataView(flac.buffer).setUint32(22, 2400)
    expect(await refusal(flac, SHORT)).toBe('audio_too_long')
    const ogg = recording('speech.opus.ogg')
    const view = new DataView(ogg.buffer)
    for (let at = 0; at < ogg.length - 14; at++)
      if (view.getUint32(at) === 0x4f676753) view.setBigInt64(at + 6, 960n, true)
    expect(await refusal(ogg, SHORT)).toBe('audio_too_long')
  })

  test('is not one whose length is unknown, or that was cut out of a longer stream', async () => {
    const m4a = recording('speech.m4a')
    const mdhd = Buffer.from(m4a.buffer).indexOf('mdhd')
    new DataView(m4a.buffer).setUint32(mdhd + 20, 0xffff_ffff)
    expect((await readAudio(m4a, LIMITS)).seconds).toBeGreaterThan(2)
    const ogg = recording('speech.opus.ogg')
    const view = new DataView(ogg.buffer)
    for (let at = 0; at < ogg.length - 14; at++)
      if (view.getUint32(at) === 0x4f676753 && view.getBigInt64(at + 6, true) > 0n)
        view.setBigInt64(at + 6, view.getBigInt64(at + 6, true) + 48_000n * 3600n, true)
    expect((await readAudio(ogg, LIMITS)).seconds).toBeGreaterThan(2)
  })

  test('is also one whose few bytes could only be silence', async () => {
    const flac = recording('speech.flac')
    new DataView(flac.buffer).setUint32(22, 24_000 * 5000)
    expect(await refusal(flac, { minSeconds: 0.1, maxSeconds: 7200 })).toBe('audio_too_long')
  })
})

test('a file that breaks off is heard to where it does', async () => {
  for (const name of ['speech.mp3', 'speech.opus.ogg', 'speech.live.webm']) {
    const whole = recording(name)
    const { seconds } = await readAudio(whole.slice(0, whole.length / 2), LIMITS)
    expect(seconds).toBeGreaterThan(0.9)
    expect(seconds).toBeLessThan(2.5)
  }
})

test('what is no sound is refused', async () => {
  const text = (value: string) => new TextEncoder().encode(value)
  const random = Uint8Array.from({ length: 1_000_000 }, (_, n) => (Math.imul(n + 1, 2_654_435_761) >>> 13) & 255)
  const cases: [string, Uint8Array<ArrayBuffer>][] = [
    ['base64', text(Buffer.from(recording('speech.mp3')).toString('base64'))],
    ['html', text('<!doctype html><title>Sign in</title>')],
    ['png', Uint8Array.from(Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(5000)]))],
    ['pdf', text('%PDF-1.7\n'.padEnd(4000, '1 0 obj '))],
    ['elf', Uint8Array.from(Buffer.concat([Buffer.from('7f454c46020101', 'hex'), Buffer.alloc(5000)]))],
    ['zip', Uint8Array.from(Buffer.concat([Buffer.from('504b0304', 'hex'), Buffer.alloc(5000, 7)]))],
    ['random', random],
    ['playlist', text('#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\nhttp://169.254.169.254/latest\n')],
    ['ffconcat', text('ffconcat version 1.0\nfile /etc/passwd\n')],
    ['zeros', new Uint8Array(10_000)],
  ]
  for (const [what, bytes] of cases) expect([what, await refusal(bytes)]).toEqual([what, 'undecodable_audio'])
  expect(await refusal(new Uint8Array())).toBe('empty_audio')
})

test('a film without sound, and codecs that are not taken, are told apart from broken files', async () => {
  expect(await refusal(recording('silent-film.mp4'))).toBe('unsupported_media')
  expect(await refusal(recording('speech.alaw.wav'))).toBe('unsupported_media')
})

test('a FLAC whose check sum is wrong is refused', async () => {
  const bytes = recording('speech.flac')
  bytes[40_000] = (bytes[40_000] ?? 0) ^ 0xff
  expect(await refusal(bytes)).toBe('undecodable_audio')
})

test('limits of length count what was decoded', async () => {
  for (const name of NAMES)
    expect(await refusal(recording(name), { minSeconds: 0.1, maxSeconds: 2 })).toBe('audio_too_long')
  expect(await refusal(recording('speech.mp3'), { minSeconds: 5, maxSeconds: 10 })).toBe('audio_too_short')
})

test('damaged bytes anywhere end in samples or in a refusal, never in another error', async () => {
  for (const name of NAMES) {
    for (let round = 0; round < 12; round++) {
      const bytes = recording(name)
      for (let n = 0; n < 20; n++) bytes[(round * 7919 + n * 104_729) % bytes.length] = (n * 37 + round) & 255
      const result = await heard(bytes).then(
        ({ samples }) => (samples.every(Number.isFinite) ? 'heard' : 'not finite'),
        (error: unknown) => (error instanceof AppError ? 'refused' : error),
      )
      expect(['heard', 'refused']).toContain(result)
    }
  }
}, 60_000)
