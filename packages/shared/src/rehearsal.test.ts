import { expect, test } from 'vitest'
import { rehearse } from './rehearsal.ts'
import { ManualClock, never, settle } from './testing/signals.ts'

/** Rehearses with a service that takes so long for an answer; gives how often it was asked, and what was told. */
async function rehearsed(
  answerMs: number,
  { code = 200, isInUse = (): boolean => false, secondInferenceMs = 20 } = {},
) {
  const [asked, told]: [string[], string[]] = [[], []]
  const clock = new ManualClock()
  const send = async (base: string) => {
    asked.push(base)
    clock.advance(answerMs)
    return new Response('', { status: code })
  }
  const log = { warn: (_: unknown, message?: string) => void told.push(message ?? '') }
  const status = { secondInferenceMs }
  const progress = { isOver: false }
  void rehearse({
    send,
    base: 'http://self',
    isInUse,
    signal: never,
    status,
    now: clock.now,
    setTimer: clock.setTimer,
    log,
  }).then(() => (progress.isOver = true))
  while (!progress.isOver) {
    clock.advance(20)
    await settle()
  }
  return { asked, told }
}

test('a quick service is asked again and again, at its own address', async () => {
  const { asked, told } = await rehearsed(20)
  expect([asked.length, new Set(asked), told]).toEqual([30, new Set(['http://self']), []])
})

test('one that answers slowly is asked until it has had its time', async () => {
  expect((await rehearsed(600)).asked).toHaveLength(2)
})

test('one whose model is slow is asked once: a cold path is lost in its time', async () => {
  expect((await rehearsed(5, { secondInferenceMs: 250 })).asked).toHaveLength(1)
})

test('one that always has something to do is not asked', async () => {
  expect(await rehearsed(20, { isInUse: () => true })).toEqual({ asked: [], told: [] })
})

test('a refusal is the last answer, and is told', async () => {
  const { asked, told } = await rehearsed(20, { code: 500 })
  expect([asked.length, told]).toEqual([1, ['rehearsal failed']])
})
