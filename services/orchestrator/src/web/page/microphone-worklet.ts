/** The thread that listens: 40 ms of the microphone at a time, at the wire's rate. */
import { StreamResampler } from '@hearth/shared/audio-stream'
import { WIRE_RATE_HZ } from './pcm.ts'

const CHUNK_SAMPLES = (WIRE_RATE_HZ * 40) / 1000

class MicrophoneProcessor extends AudioWorkletProcessor {
  readonly #resampler = new StreamResampler(sampleRate, WIRE_RATE_HZ)
  #chunk = new Float32Array(CHUNK_SAMPLES)
  #filled = 0

  process(inputs: readonly Float32Array[][]): boolean {
    const input = inputs[0]?.[0]
    if (input) for (const sample of this.#resampler.push(input)) this.#add(sample)
    return true
  }

  #add(sample: number): void {
    this.#chunk[this.#filled++] = sample
    if (this.#filled < CHUNK_SAMPLES) return
    this.port.postMessage(this.#chunk, [this.#chunk.buffer])
    this.#chunk = new Float32Array(CHUNK_SAMPLES)
    this.#filled = 0
  }
}

registerProcessor('microphone', MicrophoneProcessor)
