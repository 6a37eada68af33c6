import { expect, test } from 'vitest'
import { SingleFlight } from './single-flight.ts'

const never = (): AbortSignal => new AbortController().signal

function setUp() {
  const flights = new SingleFlight<string, number>()
  const runs: {
    report: (n: number) => void
    signal: AbortSignal
    land: (s: string) => void
    crash: (e: Error) => void
  }[] = []
  const work = (report: (n: number) => void, signal: AbortSignal): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    runs.push({ report, signal, land: resolve, crash: reject })
    return promise
  }
  const join = (key: string, signal = never(), onProgress: (n: number) => void = () => undefined): Promise<string> =>
    flights.join(key, work, onProgress, signal)
  return { runs, join }
}

test('callers of one key share one run, callers of another do not', async () => {
  const { runs, join } = setUp()
  const all = [join('a'), join('a'), join('b')]
  await Promise.resolve()
  expect(runs).toHaveLength(2)
  runs[0]?.land('of a')
  runs[1]?.land('of b')
  expect(await Promise.all(all)).toEqual(['of a', 'of a', 'of b'])
})

test('a caller that leaves gets its own reason at once, and the run goes on for the others', async () => {
  const { runs, join } = setUp()
  const leaving = new AbortController()
  const left = join('a', leaving.signal)
  const stays = join('a')
  leaving.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  expect(runs[0]?.signal.aborted).toBe(false)
  runs[0]?.land('done')
  expect(await stays).toBe('done')
})

test('the run is aborted when its last caller leaves, and the next caller starts a new one', async () => {
  const { runs, join } = setUp()
  const leaving = new AbortController()
  const both = Promise.allSettled([join('a', leaving.signal), join('a', leaving.signal)])
  await Promise.resolve()
  leaving.abort()
  await both
  expect(runs[0]?.signal.aborted).toBe(true)
  const next = join('a')
  await Promise.resolve()
  runs[1]?.land('second')
  runs[0]?.crash(new Error('aborted'))
  expect(await next).toBe('second')
})

test('every caller is told the progress, a late one the latest at once', async () => {
  const { runs, join } = setUp()
  const early: number[] = []
  const late: number[] = []
  const first = join('a', never(), (n) => early.push(n))
  await Promise.resolve()
  runs[0]?.report(1)
  runs[0]?.report(2)
  const second = join('a', never(), (n) => late.push(n))
  runs[0]?.report(3)
  runs[0]?.land('done')
  await Promise.all([first, second])
  expect(early).toEqual([1, 2, 3])
  expect(late).toEqual([2, 3])
})

test('a failure reaches all its callers and is not remembered', async () => {
  const { runs, join } = setUp()
  const both = Promise.allSettled([join('a'), join('a')])
  await Promise.resolve()
  runs[0]?.crash(new Error('no luck'))
  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const again = join('a')
  await Promise.resolve()
  runs[1]?.land('luck')
  expect(await again).toBe('luck')
})

test('a signal that has aborted before starts nothing', async () => {
  const { runs, join } = setUp()
  await expect(join('a', AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
  expect(runs).toHaveLength(0)
})
