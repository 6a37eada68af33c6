import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Redis } from 'ioredis'
import { connectRedis } from './redis.ts'
import { SessionRedis } from './session-redis.ts'
import { PREFIX } from './session-scripts.ts'
import { ANYBODY, Sessions } from './sessions.ts'
import type { EnteredSession, SessionsOptions } from './sessions.ts'
import { silent } from './testing/job-setup.ts'
import { freePort, startRedis, until } from './testing/redis-server.ts'
import type { RedisServer } from './testing/redis-server.ts'
import { startProxy } from './testing/tcp-proxy.ts'

const LIMITS = { maxSessions: 100, maxTurns: 20, idleMs: 60_000, maxWaiting: 100 }
/** Longer than this machine stands still. */
const LEASE_MS = 2000
vi.setConfig({ testTimeout: 30_000 })
const inTime = () => AbortSignal.timeout(20_000)
const exchange = (n: number | string) => ({ user: `question ${n}`, reply: `answer ${n}` })
const spoken = (session: { history: readonly { user: string }[] } | undefined) =>
  session?.history.map(({ user }) => user.replace('question ', ''))

let server: RedisServer
let looking: Redis
beforeAll(async () => {
  server = await startRedis()
  looking = new Redis(server.url)
})
beforeEach(() => looking.flushall())
afterAll(async () => {
  looking.disconnect()
  await server.stop()
})

/** A replica that has found Redis, or has seen that there is none at `url`. */
async function replica(options: Partial<SessionsOptions> = {}, url = server.url) {
  const connection = connectRedis(url, 'producer', silent)
  const shared = { connection, leaseMs: LEASE_MS, log: silent }
  const sessions = new Sessions({ ...LIMITS, shared, ...options })
  onTestFinished(async () => {
    connection.disconnect()
    await sessions.close()
  })
  await until(() => ['ready', 'reconnecting'].includes(connection.status), inTime())
  const enter = (id: string, owner = ANYBODY) => sessions.enter(owner, id, inTime())
  const say = async (id: string, n: number | string, owner = ANYBODY) => {
    const session = await enter(id, owner)
    const before = spoken(session)
    session.add(exchange(n))
    const trouble = await session.kept()
    session.leave()
    return { before, trouble: trouble?.code }
  }
  const history = async (id: string, owner = ANYBODY) => spoken(await sessions.read(owner, id))
  return { connection, sessions, enter, say, history, kill: () => connection.disconnect() }
}

/** One whose way to Redis can be cut. */
async function cuttable(options: Partial<SessionsOptions> = {}) {
  const proxy = await startProxy(server.port)
  onTestFinished(() => proxy.cut())
  return {
    ...(await replica(options, `redis://127.0.0.1:${proxy.port}`)),
    cut: () => proxy.cut(),
    mend: () => proxy.mend(),
  }
}

describe('sessions in Redis', () => {
  test('go on in another replica, and after all have stopped', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.say('a', 1)
    expect((await other.say('a', 2)).before).toEqual(['1'])
    expect((await one.say('a', 3)).before).toEqual(['1', '2'])
    await Promise.all([one.sessions.close(), other.sessions.close()])
    expect(await (await replica()).history('a')).toEqual(['1', '2', '3'])
  })

  test('are listed in all replicas with the one used last first', async () => {
    const [one, other] = [await replica(), await replica()]
    for (const id of ['a', 'b', 'a']) {
      await one.say(id, 1)
      await until(async () => (await other.sessions.list(ANYBODY)).sessions[0]?.id === id, inTime())
    }
    const { sessions, trouble } = await other.sessions.list(ANYBODY)
    expect(trouble).toBeUndefined()
    expect(sessions.map(({ id, turns }) => [id, turns])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    expect(Math.abs(Date.parse(sessions[0]?.lastUsedAt ?? '') - Date.now())).toBeLessThan(60_000)
  })

  test('of the same name belong to their owners', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.say('a', 'anna', 'anna')
    expect((await other.say('a', 'bob', 'bob')).before).toEqual([])
    expect([await one.history('a', 'anna'), await one.history('a', 'bob')]).toEqual([['anna'], ['bob']])
    expect((await other.sessions.list('anna')).sessions).toHaveLength(1)
    expect(await one.history('a')).toBeUndefined()
    expect(await other.sessions.delete('bob', 'a')).toBe(true)
    expect(await one.history('a', 'anna')).toEqual(['anna'])
  })

  test('take the same exchange once, however often it is written', async () => {
    const { connection } = await replica()
    const redis = new SessionRedis(connection, { ...LIMITS, leaseMs: LEASE_MS })
    const [name, kept] = [
      { owner: 'o', id: 'a' },
      { id: 'x', ...exchange(1) },
    ]
    const known = { born: 'b', summary: 'Before.', history: [] }
    for (let times = 0; times < 3; times++) await redis.append(name, known, [kept], true, inTime())
    expect(await redis.read(name, inTime())).toMatchObject({ summary: 'Before.', history: [exchange(1)] })
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

describe('turns of one session', () => {
  test('never interleave, in 25 sessions of 8 turns over two replicas that all run at the same time', async () => {
    const random = seeded(11)
    const replicas = [await replica(), await replica()] as const
    const told = new Map<string, string[]>()
    const inside = new Set<string>()
    const dawdle = async () => {
      for (let n = Math.floor(random() * 4); n > 0; n--) await new Promise((resolve) => setImmediate(resolve))
    }
    const hold = async (id: string, n: number) => {
      await dawdle()
      const session = await replicas[random() < 0.5 ? 0 : 1].enter(id)
      expect(inside.has(id)).toBe(false)
      inside.add(id)
      const before = told.get(id) ?? []
      expect(spoken(session)).toEqual(before)
      await dawdle()
      session.add(exchange(`${id} ${n}`))
      told.set(id, [...before, `${id} ${n}`])
      inside.delete(id)
      session.leave()
    }
    const ids = Array.from({ length: 25 }, (_, n) => `canary${n}x`)
    await Promise.all(ids.flatMap((id) => Array.from({ length: 8 }, (_, n) => hold(id, n))))

    const third = await replica()
    for (const id of ids) {
      const history = (await third.history(id)) ?? []
      expect(history).toEqual(told.get(id))
      expect(history.toSorted()).toEqual(Array.from({ length: 8 }, (_, n) => `${id} ${n}`))
    }
  })

  test('come in the order in which their replicas asked', async () => {
    const { connection } = await replica()
    const redis = new SessionRedis(connection, { ...LIMITS, leaseMs: 60_000 })
    const [name, known] = [
      { owner: 'o', id: 'a' },
      { born: 'b', summary: '', history: [] },
    ]
    const take = async (token: string) => (await redis.take(name, token, known, inTime())).state
    expect([await take('1'), await take('2'), await take('3')]).toEqual(['new', 'busy', 'busy'])
    await redis.leave(name, '1', inTime())
    expect([await take('3'), await take('2'), await take('3')]).toEqual(['busy', 'known', 'busy'])
    await redis.leave(name, '2', inTime())
    expect(await take('3')).toBe('known')
  })

  test('keep it for as long as they live, and no longer', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.enter('a')
    const waiting = other.enter('a')
    const entered = vi.fn<(session: EnteredSession) => void>()
    void waiting.then(entered)
    const leftMs = () => looking.pttl(`${PREFIX}lease:${ANYBODY}:a`)
    for (let renewals = 0, last = await leftMs(); renewals < 6;) {
      const now = await leftMs()
      if (now > last) renewals++
      last = now
    }
    expect(entered).not.toHaveBeenCalled()
    one.kill()
    expect(spoken(await waiting)).toEqual([])
  })

  test('a waiting one that is aborted gives up its place', async () => {
    const [one, other, third] = [await replica(), await replica(), await replica()]
    const holder = await one.enter('a')
    const stop = new AbortController()
    const gone = other.sessions.enter(ANYBODY, 'a', stop.signal)
    await until(async () => (await looking.zcard(`${PREFIX}line:${ANYBODY}:a`)) === 1, inTime())
    const waiting = third.enter('a')
    stop.abort(new Error('left'))
    await expect(gone).rejects.toThrow('left')
    holder.leave()
    await expect(waiting).resolves.toMatchObject({ id: 'a' })
  })
})

describe('a session that another replica deletes', () => {
  test('ends the turn that is in it and those that wait, and begins empty', async () => {
    const [one, other, third] = [await replica(), await replica(), await replica()]
    await one.say('a', 1)
    const session = await one.enter('a')
    const { born } = session
    const forgotten = vi.fn<(born: string) => void>()
    one.sessions.whenDeleted(forgotten)
    const waiting = third.enter('a')
    await until(async () => (await looking.zcard(`${PREFIX}line:${ANYBODY}:a`)) === 1, inTime())
    const ended = new Promise((resolve) => session.deleted.addEventListener('abort', resolve))
    expect(await other.sessions.delete(ANYBODY, 'a')).toBe(true)

    await expect(waiting).rejects.toMatchObject({ code: 'session_not_found' })
    await ended
    expect(session.deleted.reason).toMatchObject({ code: 'session_not_found' })
    await until(() => forgotten.mock.calls.length > 0, inTime())
    expect(forgotten).toHaveBeenCalledWith(born)
    session.add(exchange('late'))
    expect(await session.kept()).toBeUndefined()
    session.leave()
    expect(await other.history('a')).toBeUndefined()
    expect(await other.sessions.delete(ANYBODY, 'a')).toBe(false)
    expect((await one.say('a', 2)).before).toEqual([])
    expect(await other.history('a')).toEqual(['2'])
  })

  test('loses what is added before the deletion is seen', async () => {
    const [one, other] = [await replica(), await replica()]
    const session = await one.enter('a')
    await other.sessions.delete(ANYBODY, 'a')
    session.add(exchange('late'))
    await session.kept()
    expect(session.deleted.aborted).toBe(true)
    expect(await other.history('a')).toBeUndefined()
  })

  test('is not remembered by those that knew it', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.say('a', 1)
    expect(one.sessions.size).toBe(1)
    await other.sessions.delete(ANYBODY, 'a')
    await until(() => one.sessions.size === 0, inTime())
  })
})

describe('while Redis is away', () => {
  test('at the start, turns go on and say so; what was said is written once it is there', async () => {
    const port = await freePort()
    const one = await replica({}, `redis://127.0.0.1:${port}`)
    expect(await one.say('a', 1)).toEqual({ before: [], trouble: 'dependency_unavailable' })
    expect(await one.say('a', 2)).toEqual({ before: ['1'], trouble: 'dependency_unavailable' })
    expect(await one.history('a')).toEqual(['1', '2'])
    expect(await one.sessions.list(ANYBODY)).toMatchObject({
      sessions: [{ id: 'a', turns: 2 }],
      trouble: { code: 'dependency_unavailable' },
    })
    await expect(one.history('b')).rejects.toMatchObject({ code: 'dependency_unavailable' })

    const late = await startRedis(port)
    onTestFinished(() => late.stop())
    const other = await replica({}, late.url)
    await until(async () => (await other.history('a'))?.length === 2, inTime())
    expect(await other.history('a')).toEqual(['1', '2'])
    expect(await one.say('a', 3)).toEqual({ before: ['1', '2'], trouble: undefined })
  })

  test('in the middle of a turn, nothing is lost of what either side says meanwhile', async () => {
    const [one, other] = [await cuttable(), await replica()]
    await one.say('a', 1)
    const session = await one.enter('a')
    await one.cut()
    session.add(exchange(2))
    expect(await session.kept()).toMatchObject({ code: 'dependency_unavailable' })
    session.leave()
    expect(await one.say('a', 3)).toEqual({ before: ['1', '2'], trouble: 'dependency_unavailable' })
    expect(await other.say('a', 4)).toEqual({ before: ['1'], trouble: undefined })

    await one.mend()
    await until(async () => (await other.history('a'))?.length === 4, inTime())
    expect(await other.history('a')).toEqual(['1', '4', '2', '3'])
    await until(async () => (await one.say('a', 5)).trouble === undefined, inTime())
    expect((await other.say('a', 6)).before?.slice(0, 4)).toEqual(['1', '4', '2', '3'])
  })

  test('that comes back empty gets the sessions from those that know them', async () => {
    const own = await startRedis()
    const [one, other] = [await replica({}, own.url), await replica({}, own.url)]
    await one.say('a', 1)
    await other.say('a', 2)
    await own.stop()
    expect((await one.say('a', 3)).trouble).toBe('dependency_unavailable')
    const again = await startRedis(own.port)
    onTestFinished(() => again.stop())
    const third = await replica({}, again.url)
    await until(async () => (await third.history('a'))?.includes('3') === true, inTime())
    expect(await third.history('a')).toEqual(['1', '3'])
    await until(async () => (await other.say('b', 1)).trouble === undefined, inTime())
    expect((await other.say('a', 4)).before).toEqual(['1', '3'])
  })

  test('a session that Redis has lost comes back with the next turn in it', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.say('a', 1)
    await looking.flushall()
    expect(await one.say('a', 2)).toEqual({ before: ['1'], trouble: undefined })
    expect(await other.history('a')).toEqual(['1', '2'])
  })

  test('one that hangs holds up one turn, not the next, and what it does late is not done twice', async () => {
    const one = await replica()
    await one.say('a', 1)
    // Scripts hang until the pause is ended below.
    await looking.client('PAUSE', 60_000, 'WRITE')
    expect((await one.say('a', 2)).trouble).toBe('dependency_unavailable')
    const asked = vi.spyOn(one.connection, 'evalsha')
    expect(await one.say('a', 3)).toEqual({ before: ['1', '2'], trouble: 'dependency_unavailable' })
    expect(asked.mock.calls.filter((call) => call.includes('a'))).toEqual([])
    await looking.client('UNPAUSE')
    await until(async () => (await looking.llen(`${PREFIX}turns:${ANYBODY}:a`)) === 3, inTime())
    expect((await one.say('a', 4)).before).toEqual(['1', '2', '3'])
  })

  test('a turn that waits for another replica goes on alone', async () => {
    const [one, other] = [await replica(), await cuttable()]
    await one.say('a', 1)
    await one.enter('a')
    const waiting = other.enter('a')
    await until(async () => (await looking.zcard(`${PREFIX}line:${ANYBODY}:a`)) === 1, inTime())
    await other.cut()
    expect(await (await waiting).kept()).toMatchObject({ code: 'dependency_unavailable' })
  })

  test('deleting forgets what this process knows, and says that Redis may know more', async () => {
    const one = await cuttable()
    await one.say('a', 1)
    await one.cut()
    await expect(one.sessions.delete(ANYBODY, 'a')).rejects.toMatchObject({ code: 'dependency_unavailable' })
    expect(one.sessions.size).toBe(0)
    await one.mend()
    await until(() => one.sessions.delete(ANYBODY, 'a').catch(() => false), inTime())
    expect(await one.history('a')).toBeUndefined()
  })
})

describe('limits over all replicas', () => {
  const isLeft = (id: string) =>
    until(async () => (await looking.exists(`${PREFIX}lease:${ANYBODY}:${id}`)) === 0, inTime())

  test('the session unused for longest makes room, but never one in use', async () => {
    const options = { maxSessions: 2 }
    const [one, other] = [await replica(options), await replica(options)]
    const busy = await one.enter('a')
    await other.say('b', 1)
    await isLeft('b')
    await other.say('c', 1)
    expect([await one.history('a'), await one.history('b'), await one.history('c')]).toEqual([[], undefined, ['1']])
    await other.enter('c')
    await expect(one.enter('d')).rejects.toMatchObject({ code: 'overloaded' })
    busy.leave()
    await isLeft('a')
    await expect(one.enter('d')).resolves.toMatchObject({ id: 'd' })
  })

  test('only the last turns are kept', async () => {
    const options = { maxTurns: 2 }
    const [one, other] = [await replica(options), await replica(options)]
    for (const n of [1, 2, 3]) await (n % 2 ? one : other).say('a', n)
    expect(await one.history('a')).toEqual(['2', '3'])
  })

  test('a session unused for too long is gone, with all its keys', async () => {
    let nowMs = 0
    const one = await replica({ idleMs: 200, now: () => nowMs })
    await one.say('a', 1)
    await until(async () => (await looking.keys(`${PREFIX}*`)).length === 0, inTime())
    // Its own clock, which began to count when it had left the session.
    nowMs = 200
    expect(await one.history('a')).toBeUndefined()
    expect((await one.sessions.list(ANYBODY)).sessions).toEqual([])
    expect((await one.say('a', 2)).before).toEqual([])
  })

  test('one in use is not forgotten, however long its turn lasts', async () => {
    const one = await replica()
    const session = await one.enter('a')
    const key = `${PREFIX}data:${ANYBODY}:a`
    await looking.pexpire(key, 30_000)
    await until(async () => (await looking.pttl(key)) > 30_000, inTime())
    expect(session.deleted.aborted).toBe(false)
  })

  test('more than may wait are refused at once', async () => {
    const one = await replica({ maxWaiting: 1 })
    await one.enter('a')
    one.enter('a').catch(() => {})
    await expect(one.enter('a')).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1000 })
  })
})

describe('a long session', () => {
  /** Summaries tell how many they are, and what they are of; `next` waits until one is asked for. */
  function summaries() {
    const asked: { summary: string; said: string[]; write: (text: string) => void; fail: () => void }[] = []
    const summariser = {
      isUsable: () => true,
      shorten: ({ summary, exchanges }: { summary: string; exchanges: readonly { user: string }[] }) =>
        new Promise<string>((write, reject) => {
          const said = spoken({ history: exchanges }) ?? []
          asked.push({ summary, said, write, fail: () => reject(new Error('no')) })
        }),
    }
    return { asked, options: { maxTurns: 4, summaries: { summariser, limitMs: 20_000, log: silent } } }
  }

  test('is shortened behind the turns, by one replica, and all see it', async () => {
    const { asked, options } = summaries()
    const [one, other] = [await replica(options), await replica(options)]
    for (const n of [1, 2, 3, 4]) await one.say('a', n)
    await until(() => asked.length === 1, inTime())
    expect(asked[0]).toMatchObject({ summary: '', said: ['1', '2'] })
    expect((await other.say('a', 5)).before).toEqual(['1', '2', '3', '4'])
    asked[0]?.write('One and two.')
    await until(async () => (await other.sessions.read(ANYBODY, 'a'))?.summary !== '', inTime())
    expect(asked).toHaveLength(1)
    const session = await other.enter('a')
    expect([session.summary, spoken(session)]).toEqual(['One and two.', ['3', '4', '5']])
    session.add(exchange(6))
    session.leave()
    await until(() => asked.length === 2, inTime())
    expect(asked[1]).toMatchObject({ summary: 'One and two.', said: ['3', '4'] })
  })

  test('is not shortened by who has not seen yet that another one did', async () => {
    const { connection } = await replica()
    const redis = new SessionRedis(connection, { ...LIMITS, leaseMs: LEASE_MS })
    const name = { owner: 'o', id: 'a' }
    const first = { id: '1', ...exchange(1) }
    const kept = [first, { id: '2', ...exchange(2) }]
    await redis.append(name, { born: 'b', summary: '', history: [] }, kept, true, inTime())
    const claim = (summary: string) => redis.claimSummary(name, summary, 20_000, inTime())
    expect([await claim(''), await claim('')]).toEqual([true, false])
    expect(await redis.condense(name, 'b', first, 'One.', inTime())).toBe(true)
    expect([await claim(''), await claim('One.')]).toEqual([false, true])
  })

  test('stays as it was when nobody can shorten it, and goes on losing its oldest turns', async () => {
    const { asked, options } = summaries()
    const one = await replica(options)
    for (const n of [1, 2, 3, 4]) await one.say('a', n)
    await until(() => asked.length === 1, inTime())
    asked[0]?.fail()
    await one.say('a', 5)
    const { summary, history } = (await one.sessions.read(ANYBODY, 'a')) ?? {}
    expect([summary, spoken({ history: history ?? [] })]).toEqual(['', ['2', '3', '4', '5']])
  })

  test('that is deleted meanwhile gets no summary', async () => {
    const { asked, options } = summaries()
    const [one, other] = [await replica(options), await replica(options)]
    for (const n of [1, 2, 3, 4]) await one.say('a', n)
    await until(() => asked.length === 1, inTime())
    await other.sessions.delete(ANYBODY, 'a')
    await other.say('a', 'new')
    asked[0]?.write('One and two.')
    expect((await one.say('a', 'newer')).before).toEqual(['new'])
    expect(await other.sessions.read(ANYBODY, 'a')).toMatchObject({ summary: '', turns: 2 })
  })
})
