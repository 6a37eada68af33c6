import { StageClock } from '@hearth/shared/stage-clock'
import { createLogger } from '@hearth/shared/telemetry'
import { describe, expect, test, vi } from 'vitest'
import type { Summariser } from './session-summary.ts'
import { ANYBODY, Sessions } from './sessions.ts'
import type { SessionsOptions } from './sessions.ts'
import { fakeStages } from './testing/fake-stages.ts'
import type { Prompt } from './stages/llm.ts'
import { runTurn } from './turn.ts'
import { TURN_STAGES } from './turn-events.ts'

const live = (): AbortSignal => new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))
const LIMITS: SessionsOptions = { maxSessions: 100, maxTurns: 20, idleMs: 1000, maxWaiting: 4 }
const exchange = (n: number) => ({ user: `question ${n}`, reply: `answer ${n}` })

describe('a session', () => {
  test('keeps its history from turn to turn, and only the last turns', async () => {
    const sessions = new Sessions({ ...LIMITS, maxTurns: 2 })
    for (const n of [1, 2, 3]) {
      const session = await sessions.enter(ANYBODY, 'a', live())
      session.add(exchange(n))
      session.leave()
    }
    const session = await sessions.enter(ANYBODY, 'a', live())
    expect(session.history).toEqual([exchange(2), exchange(3)])
  })

  test('without a name gets one of at least 128 random bits that a client may send back', async () => {
    const sessions = new Sessions(LIMITS)
    const ids = await Promise.all([1, 2].map(async () => (await sessions.enter(ANYBODY, undefined, live())).id))
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{32}$/)
  })

  test('takes nothing from a turn that has left it', async () => {
    const sessions = new Sessions(LIMITS)
    const late = await sessions.enter(ANYBODY, 'a', live())
    late.leave()
    late.add(exchange(1))
    expect((await sessions.enter(ANYBODY, 'a', live())).history).toEqual([])
  })
})

describe('turns of one session', () => {
  test('enter one after the other, in the order they came', async () => {
    const sessions = new Sessions(LIMITS)
    const order: number[] = []
    const turns = [0, 1, 2].map(async (n) => {
      const session = await sessions.enter(ANYBODY, 'a', live())
      order.push(n)
      await settled()
      expect(order.at(-1)).toBe(n)
      session.leave()
      session.leave()
    })
    await Promise.all(turns)
    expect(order).toEqual([0, 1, 2])
  })

  test('do not wait for those of another session', async () => {
    const sessions = new Sessions(LIMITS)
    await sessions.enter(ANYBODY, 'a', live())
    await expect(sessions.enter(ANYBODY, 'b', live())).resolves.toMatchObject({ id: 'b' })
  })

  test('a waiting turn that is aborted gives up its place', async () => {
    const sessions = new Sessions(LIMITS)
    const first = await sessions.enter(ANYBODY, 'a', live())
    const stop = new AbortController()
    const second = sessions.enter(ANYBODY, 'a', stop.signal)
    const third = sessions.enter(ANYBODY, 'a', live())
    stop.abort(new Error('left'))
    await expect(second).rejects.toThrow('left')
    first.leave()
    await expect(third).resolves.toMatchObject({ id: 'a' })
  })

  test('more than may wait are refused at once', async () => {
    const sessions = new Sessions({ ...LIMITS, maxWaiting: 1 })
    await sessions.enter(ANYBODY, 'a', live())
    void sessions.enter(ANYBODY, 'a', live())
    await expect(sessions.enter(ANYBODY, 'a', live())).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1000 })
  })
})

describe('many sessions', () => {
  const use = async (sessions: Sessions, id: string) => {
    const session = await sessions.enter(ANYBODY, id, live())
    session.add(exchange(1))
    session.leave()
  }

  test('the one unused for longest makes room', async () => {
    const sessions = new Sessions({ ...LIMITS, maxSessions: 2 })
    for (const id of ['a', 'b', 'a', 'c']) await use(sessions, id)
    expect(sessions.size).toBe(2)
    expect((await sessions.enter(ANYBODY, 'a', live())).history).toHaveLength(2)
    expect((await sessions.enter(ANYBODY, 'b', live())).history).toHaveLength(0)
  })

  test('one in use never makes room; when all are in use the next is refused', async () => {
    const sessions = new Sessions({ ...LIMITS, maxSessions: 1 })
    const busy = await sessions.enter(ANYBODY, 'a', live())
    await expect(sessions.enter(ANYBODY, 'b', live())).rejects.toMatchObject({ code: 'overloaded' })
    busy.leave()
    await expect(sessions.enter(ANYBODY, 'b', live())).resolves.toMatchObject({ id: 'b' })
  })

  test('those idle for too long are forgotten', async () => {
    let now = 0
    const sessions = new Sessions({ ...LIMITS, now: () => now })
    await use(sessions, 'a')
    now = 500
    await use(sessions, 'b')
    now = 1200
    expect((await sessions.enter(ANYBODY, 'c', live())).id).toBe('c')
    expect(sessions.size).toBe(2)
  })
})

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

test('50 sessions in random interleavings never see each other in any prompt', async () => {
  const random = seeded(7)
  const sessions = new Sessions({ ...LIMITS, maxWaiting: 100 })
  const prompts: { owner: string; prompt: Prompt }[] = []
  const dawdle = async () => {
    for (let n = Math.floor(random() * 4); n > 0; n--) await settled()
  }
  const { stages } = fakeStages({
    llm: {
      name: 'fake/mind',
      async *reply(prompt) {
        prompts.push({ owner: prompt.user.split(' ')[0] ?? '', prompt })
        await dawdle()
        yield { text: `I heard ${prompt.user}.`, model: 'fake/mind' }
      },
    },
    memory: { recall: async () => ({ memories: [], model: 'fake' }), remember: dawdle },
  })
  const hold = async (canary: string, turn: number) => {
    await dawdle()
    const session = await sessions.enter(ANYBODY, canary, live())
    const said = { text: `${canary} ${turn}`, model: null }
    const events = runTurn(
      { said, session, user: 'default', instructions: '' },
      stages,
      new StageClock(TURN_STAGES),
      live(),
    )
    for await (const _ of events) await dawdle()
    session.leave()
  }
  const canaries = Array.from({ length: 50 }, (_, n) => `canary${n}x`)
  await Promise.all(canaries.flatMap((canary) => Array.from({ length: 8 }, (_, turn) => hold(canary, turn))))

  expect(prompts).toHaveLength(400)
  for (const { owner, prompt } of prompts) {
    const text = JSON.stringify(prompt)
    expect(canaries.filter((canary) => canary !== owner && text.includes(canary))).toEqual([])
    expect(prompt.history.every(({ user, reply }) => reply === `I heard ${user}.`)).toBe(true)
  }
  const last = prompts.filter(({ prompt }) => prompt.history.length === 7)
  expect(last).toHaveLength(50)
})

describe('a long session', () => {
  const shortened = (isUsable: boolean) => {
    const written = Promise.withResolvers<string>()
    const summariser = { isUsable: () => isUsable, shorten: vi.fn<Summariser['shorten']>(() => written.promise) }
    const log = createLogger({ service: 'test', level: 'silent' })
    const sessions = new Sessions({ ...LIMITS, maxTurns: 4, summaries: { summariser, limitMs: 60_000, log } })
    const say = async (n: number) => {
      const session = await sessions.enter(ANYBODY, 'a', live())
      session.add(exchange(n))
      session.leave()
    }
    return { sessions, say, summariser, write: written.resolve }
  }

  test('is shortened after a turn, while the next is already in it', async () => {
    const { sessions, say, summariser, write } = shortened(true)
    for (const n of [1, 2, 3, 4]) await say(n)
    expect(summariser.shorten).toHaveBeenCalledTimes(1)
    const session = await sessions.enter(ANYBODY, 'a', live())
    session.add(exchange(5))
    write('One and two.')
    await settled()
    expect(session.summary).toBe('One and two.')
    expect(session.history).toEqual([3, 4, 5].map(exchange))
  })

  test('just loses its oldest turns when nobody can shorten it', async () => {
    const { sessions, say, summariser } = shortened(false)
    for (const n of [1, 2, 3, 4, 5]) await say(n)
    expect(summariser.shorten).not.toHaveBeenCalled()
    expect(await sessions.read(ANYBODY, 'a')).toMatchObject({ summary: '', history: [2, 3, 4, 5].map(exchange) })
  })

  test('does not hold up the end of the process', async () => {
    const { sessions, say } = shortened(true)
    for (const n of [1, 2, 3, 4]) await say(n)
    await sessions.close()
    expect(await sessions.read(ANYBODY, 'a')).toMatchObject({ turns: 4 })
  })
})

test('a session belongs to its owner: the same name of another is another session', async () => {
  const sessions = new Sessions(LIMITS)
  const annas = await sessions.enter('anna', 'a', live())
  annas.add(exchange(1))
  const bobs = await sessions.enter('bob', 'a', live())
  expect(bobs.history).toEqual([])
  expect((await sessions.list('bob')).sessions).toMatchObject([{ id: 'a', turns: 0 }])
  expect(await sessions.delete('bob', 'a')).toBe(true)
  expect([bobs.deleted.aborted, annas.deleted.aborted]).toEqual([true, false])
  expect(await sessions.read('anna', 'a')).toMatchObject({ history: [exchange(1)] })
})
