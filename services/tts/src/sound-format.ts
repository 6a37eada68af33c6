/**
 * The file formats that speech is sent in. The one idea: a format is a function from PCM as it is made to bytes as they are sent, so that a
 * reply of any format begins with its first clause.
 */
import { wavHeader } from '@hearth/shared/wav'
import { encodeAac, encodeFlac, encodeOpus } from './container-formats.ts'
import { encodeMp3 } from './mp3.ts'

/** `pcm` is s16le mono, a piece at a time; what comes out is only as far ahead as the reader. */
export type Encode = (pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) => AsyncGenerator<Uint8Array, void, void>

type Format = { readonly mediaType: string; readonly encode: Encode }

/** OpenAI's names; the first is what is sent when none is asked for. */
export const SOUND_FORMATS = {
  mp3: { mediaType: 'audio/mpeg', encode: encodeMp3 },
  opus: { mediaType: 'audio/ogg', encode: encodeOpus },
  aac: { mediaType: 'audio/aac', encode: encodeAac },
  flac: { mediaType: 'audio/flac', encode: encodeFlac },
  wav: { mediaType: 'audio/wav', encode: encodeWav },
  pcm: { mediaType: 'audio/pcm', encode: encodePcm },
} as const satisfies Record<string, Format>

export type SoundFormat = keyof typeof SOUND_FORMATS

/** Its length stays open: it isn't known when the header leaves. */
async function* encodeWav(pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) {
  yield wavHeader({ sampleRateHz, sampleCount: 'stream' })
  yield* pcm
}

async function* encodePcm(pcm: AsyncIterable<Uint8Array>) {
  yield* pcm
}
