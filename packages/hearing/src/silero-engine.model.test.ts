import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { decodeWav } from '@hearth/shared/wav'
import { describe, expect, test } from 'vitest'
import { createEngine } from './silero-engine.ts'
import type { VoiceInput } from './silero-engine.ts'

const speech = (name: string) =>
  decodeWav(readFileSync(join(import.meta.dirname, '../../../models/speech', name))).samples
const input = (samples: Float32Array, change: Partial<VoiceInput> = {}): VoiceInput => ({
  samples,
  skipFrames: 0,
  ...change,
})
const noise = Float32Array.from({ length: 32_000 }, (_, n) => 0.1 * Math.sin(n * n * 0.37))

describe('the voice detector is an engine: it', () => {
  engineSuite({
    create: () => createEngine({ maxBatchSize: 4 }),
    inputs: [input(speech('012.wav')), input(noise), input(speech('005.wav'), { skipFrames: 10 })],
    same: (a, b) => a.length === b.length && a.every((value, at) => Math.abs(value - (b[at] ?? NaN)) < 1e-4),
    emptyInputs: [input(new Float32Array(0))],
  })
})

test('speech is found in every recording, and not in noise; enough of it is enough', async () => {
  const engine = createEngine({ maxBatchSize: 4 })
  await engine.load()
  try {
    const run = async (samples: Float32Array, change = {}) =>
      (await engine.run([input(samples, change)], { signal: never, emit: () => undefined }))[0] ?? new Float32Array()
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
