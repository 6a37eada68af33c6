import { AppError } from '@hearth/shared/errors'
import { expect, test, vi } from 'vitest'
import { countedRoom } from './counted-room.ts'

function room(...answers: (number | Error)[]) {
  let nowMs = 0
  const look = vi.fn<() => Promise<number>>(async () => {
    const answer = answers.shift() ?? 0
    if (typeof answer === 'number') return answer
    throw answer
  })
  return { look, take: countedRoom(look, () => nowMs), wait: (ms: number) => void (nowMs += ms) }
}

test('looks once for all places that were left, and again when they are taken', async () => {
  const { look, take } = room(3, 1)
  for (let count = 0; count < 3; count++) await take()
  expect(look).toHaveBeenCalledTimes(1)
  await take()
  expect(look).toHaveBeenCalledTimes(2)
})

test('looks again after a second, for others take places too', async () => {
  const { look, take, wait } = room(1000, 1000)
  await take()
  wait(999)
  await take()
  expect(look).toHaveBeenCalledTimes(1)
  wait(1)
  await take()
  expect(look).toHaveBeenCalledTimes(2)
})

test('looks again at once when there was none', async () => {
  const full = new AppError('overloaded', 'full')
  const { take } = room(full, full, 1)
  await expect(take()).rejects.toBe(full)
  await expect(take()).rejects.toBe(full)
  await expect(take()).resolves.toBeUndefined()
})
