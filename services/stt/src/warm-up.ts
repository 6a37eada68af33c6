/**
 * Takes made-up uploads through everything that comes before the queue, while the model loads: the first pass through the form
 * parser, the WAV reader and the resampler costs several times the tenth.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { resample } from '@hearth/shared/audio'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import { readTranscriptionRequest } from './transcription-request.ts'

const ROUNDS = 10
const SAMPLE_RATES_HZ = [16_000, 48_000]

/** The event loop gets its turn between two uploads. */
export async function warmRequestPath(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++)
    for (const sampleRateHz of SAMPLE_RATES_HZ) {
      const samples = Float32Array.from({ length: sampleRateHz }, (_, n) => 0.1 * Math.sin(n / 9))
      const upload = new FormData()
      upload.set('file', new Blob([encodeWav({ samples, sampleRateHz })]), 'warm-up.wav')
      upload.set('response_format', 'json')
      const { file } = await readTranscriptionRequest(await new Response(upload).formData())
      resample(decodeWav(file), 16_000)
      await nextTurn()
    }
}
