/** A service whose name is not found is away as if its port were closed (F41). */
import dns from 'node:dns'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, ServiceName } from '../testing/fault-stack.ts'
import { holdTime, passTime, releaseTime } from '../testing/held-time.ts'
import { wavSaying } from '../testing/job-setup.ts'
import { until } from '../testing/redis-server.ts'

const find = dns.lookup
let stack: FaultStack
/** Names that are not found: for ever, or as often as it says. */
let lost: Map<string, number>
let lookups: string[]

beforeEach(async () => {
  await holdTime()
  lost = new Map()
  lookups = []
  vi.spyOn(dns, 'lookup').mockImplementation(((host: string, options: object, done: (...found: unknown[]) => void) => {
    if (!host.endsWith('.test')) return find(host, options, done)
    lookups.push(host)
    const left = lost.get(host) ?? 0
    lost.set(host, left - 1)
    if (left <= 0) return find('127.0.0.1', options, done)
    const code = 'EAI_AGAIN'
    process.nextTick(done, Object.assign(new Error(`getaddrinfo ${code} ${host}`), { code, syscall: 'getaddrinfo' }))
  }) as typeof dns.lookup)
  stack = await startFaultStack({ hostOf: (name) => `${name}.test`, isWarm: false })
})
afterEach(async () => {
  // The list of voices is asked for beside a turn, and may still be waiting to be asked for again.
  passTime(5000)
  await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  await stack.close()
  vi.restoreAllMocks()
  releaseTime()
})

const turn = () => stack.ask({ file: wavSaying('My name is Anna'), session: 's1' })

test.each<[ServiceName, number, object, number]>([
  ['stt', 502, { stage: 'stt' }, 2],
  ['ollama', 503, { stage: 'llm' }, 2],
  ['embeddings', 200, { reply: REPLY, degraded: ['memory'] }, 2],
  ['tts', 200, { reply: REPLY, degraded: ['tts'], audio: null }, 2],
])('%s: the turn is answered %i, and the next one is well', async (name, status, body, times) => {
  lost.set(`${name}.test`, Infinity)
  expect(await turn()).toMatchObject({ status, body })
  // The voice is also asked for its list of voices, beside the turn.
  const count = lookups.filter((host) => host === `${name}.test`).length
  expect(name === 'tts' ? Math.min(count, times) : count).toBe(times)
  lost.clear()
  if (name === 'embeddings') {
    passTime(5000)
    await until(() => stack.lines.some(({ msg }) => msg === 'what was kept is remembered'), AbortSignal.timeout(10_000))
  }
  expect(await turn()).toMatchObject({ status: 200, body: { reply: REPLY, degraded: [] } })
})

test.each<ServiceName>(['stt', 'ollama', 'embeddings', 'tts'])('%s, lost for a moment, is not missed', async (name) => {
  lost.set(`${name}.test`, 1)
  expect(await turn()).toMatchObject({ status: 200, body: { reply: REPLY, degraded: [] } })
})
