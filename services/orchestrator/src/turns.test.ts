import { AppError } from '@hearth/shared/errors'
import { StageClock } from '@hearth/shared/stage-clock'
import { describe, expect, test } from 'vitest'
import { TURN_STAGES } from './turn-events.ts'
import type { TurnDone } from './turn-events.ts'
import { Turns } from './turns.ts'

const clock = () => new StageClock(TURN_STAGES, () => 0)
const DONE: TurnDone = {
  type: 'done',
  reply: 'Good day.',
  timings: {},
  language: null,
  waterfall: [],
  models: { stt: null, embeddings: 'e', llm: 'l', tts: 't' },
  ending: { incomplete: true },
  degraded: new Map([['tts', new AppError('stage_failed', 'no')]]),
}

describe('the record of a turn', () => {
  test('is written while the turn runs', () => {
    const turns = new Turns({ now: () => 0 })
    const recorder = turns.begin({ id: 's1', born: 'b1' }, clock())
    expect(recorder.id).toMatch(/^turn_[\w-]{24}$/)
    expect(turns.get(recorder.id)).toMatchObject({ session: 's1', status: 'running', transcript: null, models: null })
    recorder.see({ type: 'transcript', text: 'Hi.' })
    recorder.see({ type: 'reply.delta', text: 'Good ' })
    recorder.see({ type: 'reply.delta', text: 'day.' })
    expect(turns.get(recorder.id)).toMatchObject({ status: 'running', transcript: 'Hi.', reply: 'Good day.' })
  })

  test('tells how the turn ended, and nothing that comes later changes it', () => {
    const turns = new Turns({ now: () => 0 })
    const recorder = turns.begin({ id: 's1', born: 'b1' }, clock())
    recorder.see(DONE)
    recorder.end(new Error('late'))
    const { models } = DONE
    const ended = { status: 'completed', reply: 'Good day.', degraded: ['tts'], incomplete: true, error: null, models }
    expect(turns.get(recorder.id)).toMatchObject(ended)
  })

  test.each([
    ['failed', new AppError('stage_failed', 'no'), 'stage_failed'],
    ['failed', new DOMException('late', 'TimeoutError'), 'deadline_exceeded'],
    ['cancelled', new DOMException('left', 'AbortError'), 'cancelled'],
    ['cancelled', undefined, 'cancelled'],
  ])('is %s by %s', (status, reason, error) => {
    const turns = new Turns()
    const recorder = turns.begin({ id: 's1', born: 'b1' }, clock())
    recorder.end(reason)
    expect(turns.get(recorder.id)).toMatchObject({ status, error })
  })
})

describe('past turns', () => {
  test('are so many at most: the oldest goes', () => {
    const turns = new Turns({ maxTurns: 2 })
    const ids = [1, 2, 3].map(() => turns.begin({ id: 's1', born: 'b1' }, clock()).id)
    expect(ids.map((id) => turns.get(id) !== undefined)).toEqual([false, true, true])
  })

  test('are forgotten after their time', () => {
    let now = 0
    const turns = new Turns({ keptMs: 1000, now: () => now })
    const { id } = turns.begin({ id: 's1', born: 'b1' }, clock())
    now = 999
    expect(turns.get(id)).toBeDefined()
    now = 1000
    expect(turns.get(id)).toBeUndefined()
  })

  test('go with their session, those of others stay', () => {
    const turns = new Turns()
    const [one, other] = [
      turns.begin({ id: 's1', born: 'b1' }, clock()),
      turns.begin({ id: 's2', born: 'b2' }, clock()),
    ]
    turns.forgetSession('b1')
    one.see(DONE)
    expect([turns.get(one.id), turns.get(other.id)?.session]).toEqual([undefined, 's2'])
  })
})
