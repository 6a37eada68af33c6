/** MP3 by LAME in WebAssembly (wasm-media-encoders): MPEG-2 layer III, constant bit rate, frames without any header before them. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { fromPcm16 } from '@hearth/shared/audio'
import { createEncoder } from 'wasm-media-encoders'
import { slicesOf } from './pcm-slices.ts'

/** Kilobits a second, mono: as good as speech at 24 kHz gets. */
const BITRATE = 64

/** LAME's code, compiled once: its instances share what V8 has made of it, and begin at once. */
const lame = await WebAssembly.compile(
  await readFile(fileURLToPath(import.meta.resolve('wasm-media-encoders/wasm/mp3'))),
)

/** See `Encode`. */
export async function* encodeMp3(pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) {
  const encoder = await createEncoder('audio/mpeg', lame)
  encoder.configure({ sampleRate: sampleRateHz, channels: 1, bitrate: BITRATE })
  for await (const slice of slicesOf(pcm, sampleRateHz)) {
    const bytes = encoder.encode([fromPcm16(slice, sampleRateHz).samples])
    // The encoder's own memory, which the next piece overwrites.
    if (bytes.length > 0) yield bytes.slice()
  }
  yield encoder.finalize().slice()
}
