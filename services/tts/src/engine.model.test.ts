/** The demo Kokoro spoken through the real engine, and heard by the demo Whisper. */
import { fileURLToPath } from 'node:url'
import type { Audio } from '@hearth/shared/audio'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from './engine.ts'
import type { Speech } from './speech.ts'
import { loadWhisper } from './testing/hear.ts'
import type { VoiceMix } from './voice-mix.ts'

const models = fileURLToPath(new URL('../../../models/demo', import.meta.url))
const VOICES = ['af_demo', 'am_demo'] as const
const SENTENCES = [
  'Set a timer for ten minutes.',
  'What is the weather in Paris?',
  'Turn off the lights in the kitchen.',
  'Remember that my name is Anna.',
  'What is seven plus five?',
  'My favourite colour is green.',
  'Wake me up at six thirty.',
  'Will it rain in London tomorrow?',
]

const engine = createEngine({ dir: `${models}/kokoro`, threads: 1 })
let hear: (speech: Audio) => Promise<string>

beforeAll(async () => {
  await engine.load()
  hear = await loadWhisper(`${models}/whisper`)
})
afterAll(() => engine.close())

const one = (voice: string): VoiceMix => [{ voice, share: 1 }]
const say = async (text: string, voices: string | VoiceMix = 'af_demo', speed = 1): Promise<Speech> => {
  const voice = typeof voices === 'string' ? one(voices) : voices
  const signal = new AbortController().signal
  const [speech] = await engine.run([{ text, voice, speed }], { signal, emit: () => {} })
  if (speech === undefined) throw new Error('expected one output')
  return speech
}
const seconds = ({ samples, sampleRateHz }: Speech): number => samples.length / sampleRateHz

describe('Kokoro is an engine', () => {
  engineSuite({
    create: () => createEngine({ dir: `${models}/kokoro`, threads: 1 }),
    inputs: ['Good morning.', 'Stop the music.', 'Thank you very much.'].map((text) => ({
      text,
      voice: one('af_demo'),
      speed: 1,
    })),
    same: (a, b) => a.samples.length === b.samples.length && a.samples.every((x, i) => x === b.samples[i]),
  })
})

describe.each(VOICES)('%s', (voice) => {
  test('is understood', async () => {
    const pairs: [string, string][] = []
    for (const text of SENTENCES) pairs.push([text, await hear(await say(text, voice))])
    expect(wordErrorRate(pairs)).toBeLessThanOrEqual(0.2)
  })

  test('speaks at a sane level, in finite samples', async () => {
    const { samples, sampleRateHz } = await say(SENTENCES[0] ?? '', voice)
    const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length)
    expect(sampleRateHz).toBe(24_000)
    expect(samples.every(Number.isFinite)).toBe(true)
    expect(samples.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0)).toBeLessThanOrEqual(1)
    expect(rms).toBeGreaterThan(0.01)
    expect(rms).toBeLessThan(0.4)
  })
})

test('a mix of two voices is neither of them, and is understood', async () => {
  const text = SENTENCES[0] ?? ''
  const mixed = await say(text, [
    { voice: 'af_demo', share: 0.5 },
    { voice: 'am_demo', share: 0.5 },
  ])
  for (const voice of VOICES) expect((await say(text, voice)).samples).not.toEqual(mixed.samples)
  expect(wordErrorRate([[text, await hear(mixed)]])).toBeLessThanOrEqual(0.2)
})

test.each([
  [4, 0.25],
  [2, 0.5],
  [0.5, 2],
  [0.25, 4],
])('speed %f takes %f times as long', async (speed, ratio) => {
  const text = SENTENCES.join(' ')
  const actual = seconds(await say(text, 'af_demo', speed)) / seconds(await say(text))
  expect(actual).toBeGreaterThan(ratio * 0.9)
  expect(actual).toBeLessThan(ratio * 1.1)
})

describe('a sentence without marks and of far more than 510 tokens', () => {
  const sentence = 'turn off the lights in the kitchen and '
  const ending = 'What is the weather in Paris?'

  test('is spoken whole: its length grows with the text', async () => {
    const [once, many] = [await say(sentence.repeat(4)), await say(sentence.repeat(24))]
    expect(many.tokens).toBeGreaterThan(600)
    expect(seconds(many) / seconds(once)).toBeGreaterThan(5)
  })

  test('ends with its last words', async () => {
    const whole = await say(sentence.repeat(24) + ending)
    const tail = await say(ending)
    const samples = whole.samples.slice(-tail.samples.length)
    expect(wordErrorRate([[ending, await hear({ ...whole, samples })]])).toBeLessThanOrEqual(0.2)
  })
})

test.each([1, 24])('every word has its time, in order and within the sound (%i times)', async (times) => {
  const text = 'Turn off the lights in the kitchen, and 2026 begins. '.repeat(times).trim()
  const speech = await say(text)
  expect(speech.words.map(({ word }) => word).join(' ')).toBe(text.replaceAll(/[,.]/g, ''))
  const edges = speech.words.flatMap(({ startMs, endMs }) => [startMs, endMs])
  expect(edges).toEqual(edges.toSorted((a, b) => a - b))
  expect(edges[0]).toBeGreaterThanOrEqual(0)
  expect(edges.at(-1)).toBeLessThanOrEqual(seconds(speech) * 1000)
  expect(speech.isEstimated).toBe(true)
})

test('marks alone give no sound, and say so', async () => {
  expect(await say('…')).toMatchObject({ samples: new Float32Array(0), tokens: 0, words: [] })
})

test('the same text gives the same samples', async () => {
  expect(await say('Good morning.')).toEqual(await say('Good morning.'))
})

test.each(['10'.repeat(300), '2026-11-21 at 10:30, 1e999, -0, $5.50', 'https://example.com/a?b=c', 'a'.repeat(400)])(
  'odd words are spoken (%#)',
  async (text) => {
    expect(seconds(await say(text))).toBeGreaterThan(1)
  },
)

test('a speech nobody waits for stops between two runs of the graph', async () => {
  const signal = AbortSignal.abort(new Error('left'))
  const input = { text: 'Good morning.', voice: one('af_demo'), speed: 1 }
  await expect(engine.run([input], { signal, emit: () => {} })).rejects.toThrow('left')
})
