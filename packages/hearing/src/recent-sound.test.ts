import { expect, test } from 'vitest'
import { RecentSound } from './recent-sound.ts'

const count = (from: number, to: number) => Float32Array.from({ length: to - from }, (_, at) => from + at)

test('the last samples are there, however they came and however often the ring was filled', () => {
  for (const step of [1, 3, 7, 10, 11, 25]) {
    const recent = new RecentSound(10)
    for (let at = 0; at < 60; at += step) {
      recent.append(count(at, at + step))
      const end = at + step
      for (const asked of [0, 1, 9, 10, 50])
        expect(recent.last(asked)).toEqual(count(end - Math.min(asked, 10, end), end))
    }
  }
})
