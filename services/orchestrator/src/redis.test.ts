import { once } from 'node:events'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { AppError } from '@hearth/shared/errors'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { silent } from './testing/job-setup.ts'
import { startRedis, until } from './testing/redis-server.ts'
import { askRedis, connectRedis, limitedWarning, reconnectMs } from './redis.ts'

const never = () => new Promise<never>(() => {})
const inTime = () => AbortSignal.timeout(20_000)
const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

async function connected(url: string) {
  const connection = connectRedis(url, 'producer', silent)
  closing.push(() => connection.disconnect())
  return connection
}

test('waits grow from 100 ms to one second, and no two are quite the same', () => {
  expect([1, 2, 3, 4, 5, 60].map((times) => reconnectMs(times, () => 0))).toEqual([100, 200, 400, 800, 1000, 1000])
  expect(reconnectMs(60, () => 0.99)).toBe(1099)
})

describe('asking Redis', () => {
  test('gives what it answers, and what the work itself throws', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const connection = await connected(redis.url)
    await until(() => connection.status === 'ready', inTime())
    expect(await askRedis(connection, inTime(), () => connection.ping())).toBe('PONG')
    const own = new AppError('overloaded', 'full')
    await expect(askRedis(connection, inTime(), () => Promise.reject(own))).rejects.toBe(own)
    await expect(askRedis(connection, inTime(), never)).rejects.toMatchObject({ code: 'dependency_unavailable' })
    const left = new AppError('cancelled', 'left')
    await expect(askRedis(connection, AbortSignal.abort(left), never)).rejects.toBe(left)
  })

  test('that refuses a command tells why, but never what was in it', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const connection = await connected(redis.url)
    await until(() => connection.status === 'ready', inTime())
    const refused = () => connection.eval('return redis.call("HGET")', 0, 'canary')
    const error = await askRedis(connection, inTime(), refused).catch((thrown: unknown) => thrown)
    expect(inspect(error, { depth: 9 })).toContain('Wrong number of args')
    expect(inspect(error, { depth: 9 })).not.toContain('canary')
  })

  test('that takes connections and never answers is refused without a wait', async () => {
    const hole = createServer(() => {}).listen(0, '127.0.0.1')
    onTestFinished(() => void hole.close())
    await once(hole, 'listening')
    const address = hole.address()
    const port = typeof address === 'object' ? address?.port : 0
    const connection = await connected(`redis://127.0.0.1:${port}`)
    const work = vi.fn<() => Promise<never>>(never)
    await expect(askRedis(connection, inTime(), work)).rejects.toMatchObject({
      code: 'dependency_unavailable',
      retryAfterMs: 1000,
    })
    expect(work).not.toHaveBeenCalled()
  })
})

test('a thousand errors a second are one line in five seconds', () => {
  let nowMs = 0
  const warn = vi.spyOn(silent, 'warn')
  const tell = limitedWarning(silent, 'away', () => nowMs)
  for (let count = 0; count < 1000; count++) tell(new Error('ECONNREFUSED'))
  expect(warn).toHaveBeenCalledTimes(1)
  nowMs = 5000
  tell(new Error('ECONNREFUSED'))
  expect(warn).toHaveBeenLastCalledWith(expect.objectContaining({ times: 1000 }), 'away')
})
