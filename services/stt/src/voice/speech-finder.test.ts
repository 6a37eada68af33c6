import { expect, test } from 'vitest'
import { FRAME_SECONDS, SpeechFinder } from './speech-finder.ts'

const frames = (seconds: number) => Math.round(seconds / FRAME_SECONDS)
const sound = (seconds: number, probability: number) => Array.from({ length: frames(seconds) }, () => probability)
const find = (probabilities: readonly number[], options = {}) => {
  const finder = new SpeechFinder(options)
  return [...finder.push(probabilities), ...finder.end()].map(({ from, to }) => [from, to])
}

test('speech is from its first frame to its last, and a pause ends it', () => {
  const heard = [...sound(1, 0), ...sound(2, 0.9), ...sound(1, 0.1), ...sound(1, 0.8)]
  const [one, two, three] = [frames(1), frames(1) + frames(2), 2 * frames(1) + frames(2)]
  expect(find(heard)).toEqual([
    [one, two],
    [three, three + frames(1)],
  ])
})

test('a short quiet moment, and a probability a little below the threshold, do not end it', () => {
  expect(find([...sound(1, 0.9), ...sound(0.2, 0), ...sound(1, 0.9)])).toHaveLength(1)
  expect(find([...sound(1, 0.9), ...sound(2, 0.4), ...sound(1, 0.9)])).toHaveLength(1)
  expect(find(sound(2, 0.4))).toEqual([])
})

test('a click is no speech', () => {
  expect(find([...sound(1, 0), 0.99, 0.99, ...sound(1, 0)])).toEqual([])
})

test('what is longer than a window is cut where it is least like speech, and nothing is lost', () => {
  const long = sound(70, 0.9)
  long[frames(25)] = 0.4
  const stretches = find(long)
  expect(stretches[0]).toEqual([0, frames(25)])
  for (const [at, [from = 0, to = 0]] of stretches.entries()) {
    expect((to - from) * FRAME_SECONDS).toBeLessThanOrEqual(29)
    expect(from).toBe(stretches[at - 1]?.[1] ?? 0)
  }
  expect(stretches.at(-1)?.[1]).toBe(long.length)
})

test('pushed frame by frame it finds the same', () => {
  const heard = [...sound(40, 0.8), ...sound(1, 0), ...sound(2, 0.7), ...sound(0.1, 0)]
  const finder = new SpeechFinder()
  const found = [...heard.flatMap((probability) => finder.push([probability])), ...finder.end()]
  expect(found.map(({ from, to }) => [from, to])).toEqual(find(heard))
})

test('an utterance under way is known before it ends', () => {
  const finder = new SpeechFinder()
  finder.push(sound(1, 0))
  expect(finder.open).toBeNull()
  finder.push(sound(1, 0.9))
  expect(finder.open).toEqual({ from: frames(1), to: 2 * frames(1) })
})
