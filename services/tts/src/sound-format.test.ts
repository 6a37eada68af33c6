import { pcm16 } from '@hearth/shared/audio'
import { decodeWav } from '@hearth/shared/wav'
import { ALL_FORMATS, BufferSource, Input } from 'mediabunny'
import { describe, expect, test } from 'vitest'
import { SOUND_FORMATS } from './sound-format.ts'
import type { SoundFormat } from './sound-format.ts'

const RATE = 24_000
const tone = (seconds: number) =>
  pcm16(new Float32Array(Math.round(RATE * seconds)).map((_, i) => 0.4 * Math.sin((i * 2 * Math.PI * 300) / RATE)))

async function* inPieces(...pieces: Uint8Array[]) {
  yield* pieces
}

async function bytesOf(format: SoundFormat, ...pieces: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  for await (const part of SOUND_FORMATS[format].encode(inPieces(...pieces), RATE)) parts.push(part)
  return Uint8Array.from(Buffer.concat(parts))
}

/** What a reader of files makes of the bytes. */
async function readBack(bytes: Uint8Array<ArrayBuffer>) {
  const input = new Input({ source: new BufferSource(bytes.buffer), formats: ALL_FORMATS })
  const track = await input.getPrimaryAudioTrack()
  return {
    format: (await input.getFormat()).name,
    codec: track?.codec,
    channels: track?.numberOfChannels,
    seconds: await input.computeDuration(),
  }
}

const COMPRESSED = ['mp3', 'opus', 'aac', 'flac'] as const

describe.each(COMPRESSED)('%s', (format) => {
  const names = { mp3: 'MP3', opus: 'Ogg', aac: 'ADTS', flac: 'FLAC' }

  test('is a file that readers know, mono, as long as the sound', async () => {
    const found = await readBack(await bytesOf(format, tone(1.5), tone(0.77)))
    expect(found).toMatchObject({ format: names[format], codec: format, channels: 1 })
    // Encoders work in frames, and have a start and an end of their own.
    expect(found.seconds).toBeGreaterThan(2.26)
    expect(found.seconds).toBeLessThan(2.4)
  })

  test('is much smaller than the samples', async () => {
    const sound = tone(3)
    expect((await bytesOf(format, sound)).length).toBeLessThan(sound.length / (format === 'flac' ? 1.5 : 4))
  })

  test('begins before the sound has ended', async () => {
    const gate = Promise.withResolvers<void>()
    async function* slow() {
      yield tone(2)
      await gate.promise
      yield tone(0.1)
    }
    const bytes = SOUND_FORMATS[format].encode(slow(), RATE)
    let early = 0
    while (early < 2000) early += (await bytes.next()).value?.length ?? 0
    gate.resolve()
    let late = 0
    for await (const piece of bytes) late += piece.length
    expect(late).toBeGreaterThan(0)
  })

  test('throws what the sound throws', async () => {
    async function* broken() {
      yield tone(1)
      throw new Error('the voice broke')
    }
    const read = async () => {
      for await (const _ of SOUND_FORMATS[format].encode(broken(), RATE));
    }
    await expect(read()).rejects.toThrow('the voice broke')
  })

  test('takes no more of the sound once its reader has left', async () => {
    let made = 0
    let ended = false
    async function* endless() {
      try {
        for (;;) {
          made++
          yield tone(0.2)
        }
      } finally {
        ended = true
      }
    }
    for await (const _ of SOUND_FORMATS[format].encode(endless(), RATE)) break
    const before = made
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(made - before).toBeLessThan(10)
    expect(ended || made === before).toBe(true)
  })
})

test('wav has a header whose length stays open, pcm none', async () => {
  const sound = tone(0.5)
  expect(await bytesOf('pcm', sound)).toEqual(Uint8Array.from(sound))
  expect(decodeWav(await bytesOf('wav', sound)).samples).toHaveLength(RATE / 2)
})
