/** The stand-in, spoken through the real engine and measured: what Kokoro's engine promises, it promises. */
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from './espeak-engine.ts'
import { SAID_OTHERWISE } from './plain-text.ts'
import type { Speech } from './speech.ts'

const engine = createEngine()
beforeAll(() => engine.load())
afterAll(() => engine.close())

const one = (voice: string) => [{ voice, share: 1 }]
const say = async (text: string, voice = 'af_heart', speed = 1): Promise<Speech> => {
  const [speech] = await engine.run([{ text, voice: one(voice), speed }], { signal: never, emit: () => {} })
  if (speech === undefined) throw new Error('expected one output')
  return speech
}

describe('eSpeak NG is an engine', () => {
  engineSuite({
    create: createEngine,
    inputs: ['Good morning.', 'Stop the music.', 'Thank you very much.'].map((text) => ({
      text,
      voice: one('af_heart'),
      speed: 1,
    })),
    // It breathes a little differently each time.
    same: (a, b) => a.tokens === b.tokens && Math.abs(a.samples.length - b.samples.length) < 2400,
  })
})

test("its sound has Kokoro's rate and a sane level", async () => {
  const { samples, sampleRateHz } = await say('Turn off the lights in the kitchen.')
  const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length)
  expect(sampleRateHz).toBe(24_000)
  expect(rms).toBeGreaterThan(0.01)
  expect(rms).toBeLessThan(0.4)
})

test.each([
  ['ef_dora', 'Buenos días, ¿cómo estás?'],
  ['ff_siwis', 'Bonjour, comment allez-vous ?'],
  ['hf_alpha', 'नमस्ते, आप कैसे हैं?'],
  ['if_sara', 'Buongiorno, come stai?'],
  ['pm_alex', 'Bom dia, como vai você?'],
  ['bm_lewis', 'Good morning, how are you?'],
])('the language of %s is spoken', async (voice, text) => {
  const { samples, tokens } = await say(text, voice)
  expect(tokens).toBeGreaterThan(10)
  expect(samples.length).toBeGreaterThan(24_000)
})

test('speed 2 takes half as long', async () => {
  const text = 'It will rain in London tomorrow, so take an umbrella with you.'
  const ratio = (await say(text, 'af_heart', 2)).samples.length / (await say(text)).samples.length
  expect(ratio).toBeGreaterThan(0.4)
  expect(ratio).toBeLessThan(0.6)
})

test('every word has its time, in order and within the sound', async () => {
  const { words, samples, isEstimated } = await say('Où est le café, Anna ?', 'ff_siwis')
  expect(words.map(({ word }) => word)).toEqual(['Où', 'est', 'le', 'café', 'Anna'])
  const edges = words.flatMap(({ startMs, endMs }) => [startMs, endMs])
  expect(edges).toEqual(edges.toSorted((a, b) => a - b))
  expect(edges.at(-1)).toBeLessThanOrEqual(samples.length / 24)
  expect(isEstimated).toBe(false)
})

test('marks alone give no sound, and say so', async () => {
  expect(await say('…')).toMatchObject({ samples: new Float32Array(0), tokens: 0 })
})

test('a word whose pronunciation is given is said as it is written: eSpeak reads no IPA', async () => {
  const { open, said, close } = SAID_OTHERWISE
  const given = await say(`Ask ${open}Anna${said}ˈɑːnə${close}, please.`)
  expect(given.tokens).toBe((await say('Ask Anna, please.')).tokens)
})
