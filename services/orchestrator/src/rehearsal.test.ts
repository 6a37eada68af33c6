import { afterEach, expect, test, vi } from 'vitest'
import { rehearse } from './rehearsal.ts'
import { fakeStages } from './testing/fake-stages.ts'
import { sendJson, startStub } from './testing/http-stub.ts'
import type { Answer, HttpStub } from './testing/http-stub.ts'

const stubs: HttpStub[] = []
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.close()
})
const stubWith = async (answer: Answer): Promise<HttpStub> => {
  const stub = await startStub(answer)
  stubs.push(stub)
  return stub
}
const LIMITS = { othersMs: 60_000, warmMs: 60_000, totalMs: 60_000, turns: 3 }
/** Nobody else is there, and nobody asks when it is ready. */
const ALONE = { isReady: () => true, onReady: () => {}, isInUse: () => false, makeRoom: () => () => {} }
const CONVERSATION = '/v1/realtime?session=rehearsal&user=rehearsal'
const live = (): AbortSignal => new AbortController().signal

function logOf() {
  const told: string[] = []
  const log = {
    info: (_: unknown, message?: string) => void told.push(message ?? ''),
    warn: (_: unknown, message?: string) => void told.push(message ?? ''),
  }
  return { told, log }
}

test('waits for the language model and the other services, then holds whole turns with its own voice', async () => {
  const steps: string[] = []
  let looks = 0
  const other = await stubWith((response) => {
    looks++
    steps.push('looked')
    sendJson(response, {}, looks < 3 ? 503 : 200)
  })
  const self = await stubWith((response, { method, path }) => {
    steps.push(method === 'POST' ? 'turn' : path)
    sendJson(response, {}, 200, { 'x-session': 's1' })
  })
  const { told, log } = logOf()
  const { stages, spoken } = fakeStages()
  let asked = 0
  const isReady = () => ++asked > 2
  const onReady = () => void steps.push('ready')
  const parts = { others: [other.url], tts: stages.tts, base: self.url, log, limits: LIMITS }
  await rehearse({ ...ALONE, ...parts, isReady, onReady }, live())
  expect(steps).toEqual([
    'looked',
    'looked',
    'looked',
    'ready',
    'looked',
    ...[1, 2, 3].flatMap(() => ['looked', 'turn', '/sessions/s1?user=rehearsal']),
    CONVERSATION,
  ])
  expect(asked).toBe(3)
  expect(spoken).toEqual(['Good morning.'])
  expect(self.asked[0]).toMatchObject({ method: 'POST', path: '/generate', body: expect.stringMatching(/RIFF/) })
  expect(told).toEqual(['rehearsed'])
})

test.each([
  ['the others never come', 503, 200],
  ['a turn fails', 200, 500],
])('when %s it is told, and no harm is done', async (_, othersStatus, turnStatus) => {
  const other = await stubWith((response) => sendJson(response, {}, othersStatus))
  const self = await stubWith((response) => sendJson(response, {}, turnStatus))
  const { told, log } = logOf()
  const { tts } = fakeStages().stages
  const limits = { ...LIMITS, othersMs: othersStatus === 503 ? 20 : 60_000 }
  const onReady = vi.fn<() => void>()
  await rehearse({ ...ALONE, onReady, others: [other.url], tts, base: self.url, log, limits }, live())
  expect(told).toEqual(['ready without a rehearsal'])
  expect(onReady).toHaveBeenCalled()
})

test('does not wake a service that loads its model with the first request, and waits for one that loads behind its back', async () => {
  let looks = 0
  const coming = await stubWith((response) => {
    looks++
    sendJson(response, { models: [{ state: looks < 3 ? 'loading' : 'ready' }] })
  })
  const lazy = await stubWith((response) => sendJson(response, { models: [{ state: 'idle' }] }))
  const { told, log } = logOf()
  const { stages, spoken } = fakeStages()
  const others = [coming.url, lazy.url]
  await rehearse({ ...ALONE, others, tts: stages.tts, base: lazy.url, log, limits: LIMITS }, live())
  expect([looks, spoken, told]).toEqual([3, [], ['ready without a rehearsal']])
})

test('does not bring back what is unloaded meanwhile', async () => {
  let turns = 0
  const other = await stubWith((response) => sendJson(response, { models: [{ state: turns < 2 ? 'ready' : 'idle' }] }))
  const self = await stubWith((response, { method }) => {
    if (method === 'POST') turns++
    sendJson(response, {}, 200, { 'x-session': 's1' })
  })
  const { told, log } = logOf()
  const parts = { others: [other.url], tts: fakeStages().stages.tts, base: self.url, log, limits: LIMITS }
  await rehearse({ ...ALONE, ...parts }, live())
  expect([turns, told]).toEqual([2, ['ready without a rehearsal']])
})

test('is ready while the others are still warmed, and speaks with itself when they are warm and nobody else is answered', async () => {
  const steps: string[] = []
  const other = await stubWith((response) => {
    const warming = !steps.includes('warmed')
    if (steps.includes('ready')) steps.push('warmed')
    sendJson(response, { models: [{ state: 'ready', warming }] })
  })
  const self = await stubWith((response, { path }) => {
    steps.push(path)
    sendJson(response, {}, 200, { 'x-session': 's1' })
  })
  const isInUse = () => {
    const wasLookedAt = steps.includes('in use')
    if (!wasLookedAt) steps.push('in use')
    return !wasLookedAt
  }
  const onReady = () => void steps.push('ready')
  const parts = { others: [other.url], tts: fakeStages().stages.tts, base: self.url, log: logOf().log }
  await rehearse({ ...ALONE, ...parts, onReady, isInUse, limits: { ...LIMITS, turns: 1 } }, live())
  expect(steps).toEqual([
    'ready',
    'warmed',
    'warmed',
    'in use',
    'warmed',
    '/generate',
    '/sessions/s1?user=rehearsal',
    CONVERSATION,
  ])
})

test('takes no place from people while it speaks with itself', async () => {
  let [places, least] = [0, Infinity]
  const other = await stubWith((response) => sendJson(response, { models: [{ state: 'ready' }] }))
  const self = await stubWith((response, { path }) => {
    if (path !== '/sessions/s1?user=rehearsal') least = Math.min(least, places)
    sendJson(response, {}, 200, { 'x-session': 's1' })
  })
  const makeRoom = () => {
    places++
    return () => void places--
  }
  const parts = { others: [other.url], tts: fakeStages().stages.tts, base: self.url, log: logOf().log, limits: LIMITS }
  await rehearse({ ...ALONE, ...parts, makeRoom }, live())
  expect(self.asked.map(({ path }) => path)).toContain(CONVERSATION)
  expect([places, least]).toEqual([0, 1])
})

test.each([
  ['its language model', false],
  ['the other services', true],
])('an end of the service ends the wait for %s', async (_, isReady) => {
  const stop = new AbortController()
  const other = await stubWith((response) => {
    sendJson(response, {}, 503)
    stop.abort()
  })
  const rehearsal = {
    ...ALONE,
    isReady: () => isReady,
    others: [other.url],
    tts: fakeStages().stages.tts,
    base: other.url,
  }
  const waiting = rehearse({ ...rehearsal, log: logOf().log }, stop.signal)
  if (!isReady) stop.abort()
  await expect(waiting).rejects.toThrow('aborted')
})
