import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { decodeWav } from '@hearth/shared/wav'
import { describe, expect, test } from 'vitest'
import { createEngine, FRAME_SAMPLES } from './silero-engine.ts'
import type { VoiceInput } from './silero-engine.ts'

const speech = (name: string) =>
  decodeWav(readFileSync(join(import.meta.dirname, '../../../models/speech', name))).samples
const input = (samples: Float32Array, change: Partial<VoiceInput> = {}): VoiceInput => ({
  samples,
  skipFrames: 0,
  ...change,
})
const RUN = { signal: never, emit: () => undefined }
const isClose = (a: Float32Array, b: Float32Array) =>
  a.length === b.length && a.every((value, at) => Math.abs(value - (b[at] ?? NaN)) < 1e-4)
const noise = Float32Array.from({ length: 32_000 }, (_, n) => 0.1 * Math.sin(n * n * 0.37))

describe('the voice detector is an engine: it', () => {
  engineSuite({
    create: () => createEngine({ maxBatchSize: 4 }),
    inputs: [input(speech('012.wav')), input(noise), input(speech('005.wav'), { skipFrames: 10 })],
    same: (a, b) => isClose(a.probabilities, b.probabilities) && isClose(a.memory, b.memory),
    emptyInputs: [input(new Float32Array(0))],
  })
})

test('speech is found in every recording, and not in noise; enough of it is enough', async () => {
  const engine = createEngine({ maxBatchSize: 4 })
  await engine.load()
  try {
    const run = async (samples: Float32Array, change = {}) =>
      (await engine.run([input(samples, change)], RUN))[0]?.probabilities ?? new Float32Array()
    for (let at = 1; at <= 26; at++) {
      const heard = await run(speech(`${String(at).padStart(3, '0')}.wav`))
      expect(heard.filter((value) => value > 0.5).length).toBeGreaterThan(8)
    }
    expect(Math.max(...(await run(noise)))).toBeLessThan(0.4)
    const enough = { threshold: 0.5, frames: 8 }
    const whole = await run(speech('012.wav'))
    const part = await run(speech('012.wav'), { enough })
    expect(part.length).toBeLessThan(whole.length / 3)
    expect(part).toEqual(whole.subarray(0, part.length))
    expect(await run(noise, { enough })).toHaveLength(63)
  } finally {
    await engine.close()
  }
})

test('a sound in pieces, each with the memory of the one before, is heard as one', async () => {
  const engine = createEngine({ maxBatchSize: 4 })
  await engine.load()
  try {
    const whole = speech('012.wav')
    const [wanted] = await engine.run([input(whole)], RUN)
    const heard: number[] = []
    let memory: Float32Array | undefined
    for (let from = 0, frames = 1; from < whole.length; from += frames * FRAME_SAMPLES, frames = (frames % 3) + 1) {
      const samples = whole.slice(from, from + frames * FRAME_SAMPLES)
      // Its neighbours are shorter, longer, and at other places of theirs.
      const batch = [input(noise), input(samples, memory && { memory }), input(noise.subarray(0, 600))]
      const output = (await engine.run(batch, RUN))[1]
      heard.push(...(output?.probabilities ?? []))
      memory = output?.memory
    }
    expect(isClose(Float32Array.from(heard), wanted?.probabilities ?? new Float32Array())).toBe(true)
  } finally {
    await engine.close()
  }
})
