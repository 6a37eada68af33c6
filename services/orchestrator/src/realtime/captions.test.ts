import { AppError } from '@hearth/shared/errors'
import { createLogger } from '@hearth/shared/telemetry'
import { gate, settle } from '@hearth/shared/testing/signals'
import { expect, test, vi } from 'vitest'
import type { Heard, SpeechToText } from '../stages/stt.ts'
import { Captions, chunkSecondsAfter } from './captions.ts'
import type { CaptionsOptions } from './captions.ts'

const SOUND = Uint8Array.of(1, 2, 3)
const heard = (text: string): Heard => ({ text, language: 'en', model: 'fake/ear' })

/** Each transcript is answered by the test. `deltas`: what was shown. */
function setUp(change: Partial<CaptionsOptions> = {}) {
  const asked: { answer: ReturnType<typeof gate<Heard>>; signal: AbortSignal }[] = []
  const transcribe = vi.fn<SpeechToText['transcribe']>((_wav, signal) => {
    const answer = gate<Heard>()
    signal.addEventListener('abort', () => answer.reject(signal.reason as Error), { once: true })
    asked.push({ answer, signal })
    return answer.promise
  })
  let time = 0
  const log = createLogger({ service: 'orchestrator', level: 'silent' })
  const captions = new Captions({ stt: { transcribe }, log, now: () => time, ...change })
  const deltas: string[] = []
  const begin = () => captions.begin({ wav: () => SOUND, language: 'en', onDelta: (delta) => deltas.push(delta) })
  const answer = async (text: string, ms = 0) => {
    time += ms
    asked.at(-1)?.answer.resolve(heard(text))
    await settle()
  }
  return { captions, begin, asked, answer, deltas, transcribe, pass: (ms: number) => (time += ms) }
}

test('what is said is shown as soon as two transcripts agree, and the client is asked for its language', async () => {
  const { begin, answer, deltas, transcribe } = setUp()
  const caption = begin()
  caption.grow(0.9)
  expect(transcribe).not.toHaveBeenCalled()
  caption.grow(1)
  expect(transcribe).toHaveBeenCalledExactlyOnceWith(SOUND, expect.any(AbortSignal), 'en')
  await answer('Is it')
  caption.grow(1.5)
  expect(transcribe).toHaveBeenCalledOnce()
  caption.grow(1.6)
  await answer('Is it sunny')
  expect(deltas).toEqual(['Is it'])
  caption.grow(2.2)
  await answer('Is it sunny in Prague.')
  expect(deltas).toEqual(['Is it', ' sunny'])
})

test('a conversation has one transcript under way, and the next is of all that was said by then', async () => {
  const { begin, answer, transcribe } = setUp()
  const caption = begin()
  for (const seconds of [1, 2, 3, 4]) caption.grow(seconds)
  expect(transcribe).toHaveBeenCalledOnce()
  await answer('a')
  caption.grow(4.1)
  expect(transcribe).toHaveBeenCalledTimes(2)
})

test('all conversations together have two under way', async () => {
  const { begin, asked, transcribe } = setUp()
  const three = [begin(), begin(), begin()]
  for (const caption of three) caption.grow(1)
  expect(transcribe).toHaveBeenCalledTimes(2)
  asked[0]?.answer.resolve(heard('a'))
  await settle()
  three[2]?.grow(1.1)
  expect(transcribe).toHaveBeenCalledTimes(3)
})

test('at the end a transcript under way is given up, and nothing is shown any more', async () => {
  const { begin, asked, answer, deltas, transcribe } = setUp()
  const caption = begin()
  caption.grow(1)
  await answer('a b')
  caption.grow(2)
  caption.end()
  expect(asked[1]?.signal.aborted).toBe(true)
  await answer('a b c')
  caption.grow(20)
  expect(deltas).toEqual([])
  expect(transcribe).toHaveBeenCalledTimes(2)

  const next = begin()
  next.grow(1)
  expect(transcribe).toHaveBeenCalledTimes(3)
})

test('a transcript that ignores the end is ignored', async () => {
  const late = gate<Heard>()
  const transcribe = vi.fn<SpeechToText['transcribe']>(() => late.promise).mockResolvedValueOnce(heard('a'))
  const { begin, deltas } = setUp({ stt: { transcribe } })
  const caption = begin()
  caption.grow(1)
  await settle()
  caption.grow(2)
  caption.end()
  late.resolve(heard('a'))
  await settle()
  expect(transcribe).toHaveBeenCalledTimes(2)
  expect(deltas).toEqual([])
})

test('a slow engine is asked more seldom, and each utterance finds out anew', async () => {
  const { begin, answer, transcribe } = setUp()
  const caption = begin()
  caption.grow(1)
  await answer('a', 500)
  caption.grow(2.9)
  expect(transcribe).toHaveBeenCalledOnce()
  caption.grow(3)
  await answer('a', 5000)
  caption.end()
  begin().grow(1)
  expect(transcribe).toHaveBeenCalledTimes(3)
})

test('one that failed is left alone for five seconds, by all', async () => {
  const { begin, answer, asked, pass, transcribe } = setUp()
  begin().grow(1)
  asked.at(-1)?.answer.reject(new AppError('overloaded', 'busy'))
  await settle()
  pass(4999)
  const other = begin()
  other.grow(9)
  expect(transcribe).toHaveBeenCalledOnce()
  pass(1)
  other.grow(9)
  await answer('a')
  other.grow(10)
  expect(transcribe).toHaveBeenCalledTimes(3)
})

test('a transcript that was given up is no failure', async () => {
  const { begin, transcribe } = setUp()
  const caption = begin()
  caption.grow(1)
  caption.end()
  await settle()
  begin().grow(1)
  expect(transcribe).toHaveBeenCalledTimes(2)
})

test.each([
  [0, 0.6],
  [150, 0.6],
  [500, 2],
  [60_000, 5],
])('after %d ms the next transcript is due when %d s more were said', (latencyMs, seconds) => {
  expect(chunkSecondsAfter(latencyMs)).toBe(seconds)
})
