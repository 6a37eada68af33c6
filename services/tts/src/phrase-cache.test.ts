import { never } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { PhraseCache } from './phrase-cache.ts'
import type { SpeechInput } from './speech.ts'
import type { Submit } from './speak.ts'

const voice = [{ voice: 'af_demo', share: 1 }]
const input = (text: string, over: Partial<SpeechInput> = {}): SpeechInput => ({ text, voice, speed: 1, ...over })

/** A model that speaks `samples` samples for anything but `...`, and says what it was asked. */
function model({ samples = 1000, name = 'kokoro' } = {}) {
  const asked: string[] = []
  const submit: Submit = async ({ text }) => {
    asked.push(text)
    const tokens = text === '...' ? 0 : 3
    const speech = { samples: new Float32Array(samples), sampleRateHz: 24_000, tokens, words: [], isEstimated: true }
    return { output: speech, queueMs: 1, inferenceMs: 10, batchSize: 1, model: name }
  }
  return { submit, asked }
}

test('a phrase is made once, and is then the same sound without any work', async () => {
  const { submit, asked } = model()
  const cached = new PhraseCache(100_000).before(submit, 'kokoro@1')
  const first = await cached(input('Sure.'), never)
  const second = await cached(input('Sure.'), never)
  expect(asked).toEqual(['Sure.'])
  expect(second.output).toBe(first.output)
  expect(second).toMatchObject({ inferenceMs: 0, model: 'kokoro' })
})

test.each<[string, SpeechInput, string]>([
  ['text', input('Sure!'), 'kokoro@1'],
  ['speed', input('Sure.', { speed: 2 }), 'kokoro@1'],
  ['voice', input('Sure.', { voice: [{ voice: 'am_demo', share: 1 }] }), 'kokoro@1'],
  ['revision', input('Sure.'), 'kokoro@2'],
])('another %s is another phrase', async (_, other, name) => {
  const { submit, asked } = model()
  const cache = new PhraseCache(100_000)
  await cache.before(submit, 'kokoro@1')(input('Sure.'), never)
  await cache.before(submit, name)(other, never)
  expect(asked).toHaveLength(2)
})

test('long texts and silence are not kept', async () => {
  const { submit } = model()
  const cache = new PhraseCache(100_000)
  const cached = cache.before(submit, 'kokoro@1')
  await cached(input('a'.repeat(81)), never)
  await cached(input('...'), never)
  expect(cache.bytes).toBe(0)
})

test('what is kept stays within its bytes, and the least recently used goes first', async () => {
  const { submit, asked } = model({ samples: 2500 })
  const cache = new PhraseCache(24_000)
  const cached = cache.before(submit, 'kokoro@1')
  for (const text of ['One.', 'Two.', 'One.', 'Three.']) {
    await cached(input(text), never)
    expect(cache.bytes).toBeLessThanOrEqual(24_000)
  }
  asked.length = 0
  for (const text of ['One.', 'Three.', 'Two.']) await cached(input(text), never)
  expect(asked).toEqual(['Two.'])
})

test('a phrase larger than the cache, and one made twice at once, leave it in order', async () => {
  const { submit } = model({ samples: 100_000 })
  const small = new PhraseCache(1000)
  await small.before(submit, 'kokoro@1')(input('Sure.'), never)
  expect(small.bytes).toBe(0)
  const cache = new PhraseCache(1_000_000)
  const cached = cache.before(submit, 'kokoro@1')
  await Promise.all([cached(input('Sure.'), never), cached(input('Sure.'), never)])
  const once = cache.bytes
  await cached(input('Sure.'), never)
  expect(cache.bytes).toBe(once)
  expect(once).toBeLessThan(500_000)
})
