import { ErrorBody } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { describe, expect, test } from 'vitest'
import { MEMORY } from './testing/fake-stages.ts'
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
