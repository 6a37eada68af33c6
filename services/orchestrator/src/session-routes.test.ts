import { ErrorBody } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectRedis } from './redis.ts'
import { Sessions } from './sessions.ts'
import { MEMORY } from './testing/fake-stages.ts'
import { silent } from './testing/job-setup.ts'
import { endlessMind, jsonOf, turnApp } from './testing/turn-app.ts'
import type { Stages } from './turn-events.ts'

const codeOf = async (response: Response) => [response.status, ErrorBody.parse(await response.json()).error.code]

describe('sessions', () => {
  test('are listed with the one used last first, and read with their history', async () => {
    const { ask, request } = turnApp()
    await ask({ text: 'One.', session: 'a' })
    await ask({ text: 'Two.', session: 'b' })
    await ask({ text: 'Three.', session: 'a' })
    expect(await jsonOf(await request('/sessions'))).toEqual({
      sessions: [
        { id: 'a', turns: 2, lastUsedAt: expect.stringMatching(/^20\d\d-.*Z$/) },
        { id: 'b', turns: 1, lastUsedAt: expect.stringMatching(/^20\d\d-.*Z$/) },
      ],
    })
    expect(await jsonOf(await request('/sessions/a'))).toMatchObject({
      id: 'a',
      history: [
        { user: 'One.', reply: 'Hello there, Anna. How are you?' },
        { user: 'Three.', reply: 'Hello there, Anna. How are you?' },
      ],
    })
    expect(await codeOf(await request('/sessions/c'))).toEqual([404, 'session_not_found'])
  })

  test('are gone once deleted, and so are their turns', async () => {
    const { ask, request } = turnApp()
    const { turn } = await jsonOf(await ask({ text: 'One.', session: 'a' }))
    const path = `/turns/${String(turn)}`
    expect((await request(path)).status).toBe(200)
    expect((await request('/sessions/a', { method: 'DELETE' })).status).toBe(204)
    expect(await codeOf(await request('/sessions/a'))).toEqual([404, 'session_not_found'])
    expect(await codeOf(await request('/sessions/a', { method: 'DELETE' }))).toEqual([404, 'session_not_found'])
    expect(await codeOf(await request(path))).toEqual([404, 'not_found'])
  })

  test('are their user\u2019s own, whatever they are called', async () => {
    const { ask, request } = turnApp()
    await ask({ text: 'One.', session: 'a', user: 'anna' })
    await ask({ text: 'Two.', session: 'a' })
    const history = async (query: string) => (await jsonOf(await request(`/sessions/a${query}`)))['history']
    expect(await history('?user=anna')).toEqual([{ user: 'One.', reply: 'Hello there, Anna. How are you?' }])
    expect(await history('')).toEqual(await history('?user=default'))
    expect(await jsonOf(await request('/sessions?user=bob'))).toEqual({ sessions: [] })
    for (const method of ['GET', 'DELETE'])
      expect(await codeOf(await request('/sessions/a?user=bob', { method }))).toEqual([404, 'session_not_found'])
    expect((await request('/sessions/a?user=anna', { method: 'DELETE' })).status).toBe(204)
    expect((await request('/sessions/a')).status).toBe(200)
    expect(await codeOf(await request('/sessions?user=..'))).toEqual([400, 'invalid_request'])
    expect(await codeOf(await request('/sessions?owner=anna'))).toEqual([400, 'unknown_field'])
  })

  test('go on in this process when Redis is away, and every answer says so', async () => {
    const connection = connectRedis('redis://127.0.0.1:1', 'producer', silent)
    const limits = { maxSessions: 10, maxTurns: 10, idleMs: 60_000, maxWaiting: 0 }
    const sessions = new Sessions({ ...limits, shared: { connection, leaseMs: 5000, log: silent } })
    onTestFinished(() => sessions.close())
    const { ask, request, prompts } = turnApp({}, { sessions })
    const reply = await jsonOf(await ask({ text: 'One.', session: 'a' }))
    expect(reply['degraded']).toEqual(['sessions'])
    expect(await jsonOf(await request(`/turns/${String(reply['turn'])}`))).toMatchObject({ degraded: ['sessions'] })
    const spoken = await ask({ text: 'Two.', session: 'a' }, 'text/event-stream')
    expect(await spoken.text()).toContain('"degraded":["sessions"]')
    expect(prompts.at(-1)?.history).toHaveLength(1)
    expect(await jsonOf(await request('/sessions'))).toMatchObject({ sessions: [{ id: 'a' }], degraded: ['sessions'] })
    expect(await codeOf(await request('/sessions/b'))).toEqual([503, 'dependency_unavailable'])
  })

  test('that are deleted end the turn in them, which creates nothing again', async () => {
    const { llm, stopped } = endlessMind()
    const { ask, request, admission, remembered } = turnApp({ llm })
    const answer = ask({ text: 'My name is Anna.', session: 'a' })
    while ((await request('/sessions/a')).status === 404) await new Promise((resolve) => setImmediate(resolve))
    expect((await request('/sessions/a', { method: 'DELETE' })).status).toBe(204)
    expect(await codeOf(await answer)).toEqual([404, 'session_not_found'])
    expect(admission.running).toBe(0)
    expect((await request('/sessions/a')).status).toBe(404)
    expect(remembered).toEqual([])
    await stopped
  })

  test('that are deleted in mid-stream end it with an error event', async () => {
    const { llm, stopped } = endlessMind()
    const { ask, request } = turnApp({ llm })
    const response = await ask({ text: 'Hi.', session: 'a' }, 'text/event-stream')
    let text = ''
    for await (const bytes of response.body ?? []) {
      const piece = new TextDecoder().decode(bytes)
      if (piece.startsWith('event: audio')) await request('/sessions/a', { method: 'DELETE' })
      text += piece
    }
    expect(text).toMatch(/event: error\ndata: \{"error":\{.*"code":"session_not_found".*\n\n$/)
    await stopped
    expect(await jsonOf(await request('/sessions'))).toEqual({ sessions: [] })
  })
})

describe('a turn', () => {
  test('is told with its waterfall', async () => {
    const { ask, request } = turnApp()
    const reply = await jsonOf(await ask({ text: 'Hi.', session: 'a' }))
    const record = await jsonOf(await request(`/turns/${String(reply['turn'])}`))
    expect(record).toMatchObject({
      id: reply['turn'],
      session: 'a',
      status: 'completed',
      transcript: 'Hi.',
      memories: [MEMORY],
      reply: 'Hello there, Anna. How are you?',
      models: reply['models'],
      degraded: [],
      error: null,
    })
    const bar = (stage: string) => ({ stage, startMs: expect.any(Number), durationMs: expect.any(Number) })
    expect(record['waterfall']).toEqual(expect.arrayContaining(['memory', 'llm', 'tts'].map(bar)))
  })

  test('that failed is told with its error and what was said so far', async () => {
    const llm: Stages['llm'] = {
      name: 'broken/mind',
      async *reply() {
        yield { text: 'Half an ', model: 'broken/mind' }
        throw new AppError('dependency_unavailable', 'no mind')
      },
    }
    const { ask, request } = turnApp({ llm })
    const response = await ask({ text: 'Hi.' }, 'text/event-stream')
    await response.text()
    const record = await jsonOf(await request(`/turns/${response.headers.get('x-turn')}`))
    expect(record).toMatchObject({ status: 'failed', error: 'dependency_unavailable', reply: 'Half an ' })
  })

  test('that nobody knows is not found', async () => {
    expect(await codeOf(await turnApp().request('/turns/turn_1'))).toEqual([404, 'not_found'])
  })
})
