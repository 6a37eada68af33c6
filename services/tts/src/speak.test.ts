import { never } from '@hearth/shared/testing/signals'
import { describe, expect, test } from 'vitest'
import type { Fragment } from './fragments.ts'
import { fragmentsFrom } from './fragments.ts'
import { speak } from './speak.ts'
import type { SpokenFragment } from './speak.ts'
import { RATE, spoken, wordy } from './testing/app.ts'

const HOW = { voice: [{ voice: 'af_demo', share: 1 }], speed: 1 }
const fragment = (text: string, silenceMs = 0): Fragment => ({ text, silenceMs })
const seconds = ({ bytes }: SpokenFragment): number => bytes.length / 2 / RATE

async function nextOf(speech: AsyncGenerator<SpokenFragment, void>): Promise<SpokenFragment> {
  const { value } = await speech.next()
  if (value === undefined) throw new Error('expected another fragment')
  return value
}

async function all(source: AsyncIterable<SpokenFragment>): Promise<SpokenFragment[]> {
  const made: SpokenFragment[] = []
  for await (const one of source) made.push(one)
  return made
}

test('a text that is still being written is spoken as its fragments come', async () => {
  const asked: string[] = []
  let go: (piece: string) => void = () => {}
  async function* pieces(): AsyncGenerator<string> {
    yield 'Take the bus to town, and '
    yield await new Promise<string>((resolve) => (go = resolve))
  }
  const speech = speak(
    fragmentsFrom(pieces(), 'en-us'),
    HOW,
    (input, signal) => (asked.push(input.text), wordy(input, signal)),
    never,
  )
  expect(seconds(await nextOf(speech))).toBeCloseTo(0.5)
  expect(asked).toEqual(['Take the bus to town,'])
  go('come back.')
  // 0.12 s of pause, of which the margin behind the sound is a part
  expect(seconds(await nextOf(speech))).toBeCloseTo(0.06 + 0.3)
})

test('a reader that leaves ends the text too, also while it waits for it', async () => {
  let isEnded = false
  async function* texts(): AsyncGenerator<Fragment> {
    try {
      yield fragment('One.')
      yield fragment('Two.')
      yield fragment('Three.')
    } finally {
      isEnded = true
    }
  }
  const speech = speak(texts(), HOW, wordy, never)
  await speech.next()
  await speech.return()
  await new Promise((resolve) => setImmediate(resolve))
  expect(isEnded).toBe(true)
})

test('a signal ends the wait for a text that does not come', async () => {
  async function* stalled(): AsyncGenerator<Fragment> {
    yield fragment('One.')
    yield await new Promise<Fragment>(() => {})
  }
  const caller = new AbortController()
  const speech = speak(stalled(), HOW, wordy, caller.signal)
  await speech.next()
  const next = speech.next()
  caller.abort(new Error('left'))
  await expect(next).rejects.toThrow('left')
})

test('a text that fails fails the speech', async () => {
  async function* broken(): AsyncGenerator<Fragment> {
    yield fragment('One.')
    throw new Error('the model of language is gone')
  }
  await expect(all(speak(broken(), HOW, wordy, never))).rejects.toThrow('gone')
})

describe('pauses that the text asks for', () => {
  const lengths = async (fragments: readonly Fragment[]): Promise<number[]> =>
    (await all(speak(fragments, HOW, wordy, never))).map((made) => Number(seconds(made).toFixed(2)))

  test('take the place of the pause that the marks would give', async () => {
    expect(await lengths([fragment('One.'), fragment('Two.', 1000)])).toEqual([0.1, 1.04, 0])
  })

  test('come before the first and after the last word too', async () => {
    expect(await lengths([fragment('One.', 500), fragment('', 1000)])).toEqual([0.54, 0.94])
  })
})

test("the last fragment keeps its own ending, the others don't", async () => {
  const quiet = Float32Array.from({ length: RATE }, (_, i) => (i < RATE / 2 ? 0.25 : 0))
  const made = await all(speak([fragment('One.'), fragment('Two.')], HOW, async () => spoken(quiet), never))
  expect(made.map((one) => Number(seconds(one).toFixed(2)))).toEqual([0.56, 0.74, 0.44])
})
