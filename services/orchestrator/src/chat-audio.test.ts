import { expect, test } from 'vitest'
import { ChatAudio, isAudioId, newAudioId, soundKey } from './chat-audio.ts'

const HOUR_MS = 3_600_000

test('keeps a text for an hour and tells until when', () => {
  let nowMs = 1000
  const audio = new ChatAudio({ now: () => nowMs })
  expect(audio.set('a', 'Hello.')).toBe(1000 + HOUR_MS)
  nowMs = 1000 + HOUR_MS - 1
  expect(audio.get('a')).toBe('Hello.')
  nowMs += 1
  expect(audio.get('a')).toBeUndefined()
})

test('a text set again lives an hour from then', () => {
  let nowMs = 0
  const audio = new ChatAudio({ now: () => nowMs })
  audio.set('a', 'One.')
  audio.set('b', 'Two.')
  nowMs = HOUR_MS - 1
  audio.set('a', 'Three.')
  nowMs = HOUR_MS
  expect([audio.get('a'), audio.get('b')]).toEqual(['Three.', undefined])
})

test('the oldest go when there are too many, or too long ones', () => {
  const few = new ChatAudio({ maxEntries: 2 })
  for (const id of ['a', 'b', 'c']) few.set(id, id)
  expect(['a', 'b', 'c'].map((id) => few.get(id))).toEqual([undefined, 'b', 'c'])

  const short = new ChatAudio({ maxChars: 10 })
  for (const id of ['a', 'a', 'b', 'c']) short.set(id, '1234')
  expect(['a', 'b', 'c'].map((id) => short.get(id))).toEqual([undefined, '1234', '1234'])
})

test('ids are new each time, the key of a sound is the same for the same bytes', () => {
  expect(isAudioId(newAudioId())).toBe(true)
  expect(newAudioId()).not.toBe(newAudioId())
  expect(isAudioId(soundKey(Uint8Array.of(1)))).toBe(false)
  expect(soundKey(Uint8Array.of(1))).toBe(soundKey(Uint8Array.of(1)))
  expect(soundKey(Uint8Array.of(1))).not.toBe(soundKey(Uint8Array.of(2)))
})
