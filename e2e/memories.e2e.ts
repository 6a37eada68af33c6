/** Memory and embeddings of the real stack, as a person and as other people's programs use them. */
import { GenerateReply } from '@hearth/shared/api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startStack } from './stack.ts'
import type { Stack } from './stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await stack.untilReady('orchestrator')
})
afterAll(() => stack.stop())

const send = (method: string, path: string, body?: object | string) =>
  fetch(stack.url.orchestrator + path, {
    method,
    ...(typeof body === 'object' && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
    ...(typeof body === 'string' && { body }),
  })
const say = async (text: string, user: string) =>
  GenerateReply.parse(await (await send('POST', '/generate', { text, user, speak: false })).json())
type Memories = { memories: { id: string; text: string; turn: string | null; supersededBy: string | null }[] }
const list = async (user: string) => ((await (await send('GET', `/memories?user=${user}`)).json()) as Memories).memories

describe('what is remembered', () => {
  test('is told with each reply that used it, and belongs to one user', async () => {
    const told = await say('My name is Anna.', 'anna')
    const asked = await say('What is my name?', 'anna')
    expect(asked.reply).toContain('Anna')
    expect(asked.memories).toMatchObject([{ text: 'My name is Anna.', importance: 0.9 }])
    expect(asked.memories[0]?.score).toBeGreaterThan(0.3)
    expect((await list('anna'))[0]).toMatchObject({ id: asked.memories[0]?.id, turn: told.turn })
    expect((await say('What is my name?', 'eve')).memories).toEqual([])
    expect(await list('eve')).toEqual([])
  })

  test('changes with what is said, and keeps what was said before out of replies', async () => {
    await say('My name is Sam.', 'sam')
    await say('My name is Alex.', 'sam')
    expect((await say('What is my name?', 'sam')).memories.map(({ text }) => text)).toEqual(['My name is Alex.'])
    expect((await list('sam')).map(({ supersededBy }) => supersededBy !== null)).toEqual([false, true])
  })

  test('is forgotten at once when its person says so, and comes back from what they took with them', async () => {
    await say('My name is Bob.', 'bob')
    const lines = await (await send('GET', '/memories/export?user=bob')).text()
    const [note] = await list('bob')
    expect((await send('DELETE', `/memories/${note?.id}?user=eve`)).status).toBe(404)
    expect((await send('DELETE', `/memories/${note?.id}?user=bob`)).status).toBe(204)
    expect((await say('What is my name?', 'bob')).memories).toEqual([])
    expect(await (await send('POST', '/memories/import?user=bob', lines)).json()).toEqual({ imported: 1 })
    expect((await say('What is my name?', 'bob')).memories).toMatchObject([{ text: 'My name is Bob.' }])
    expect(await (await send('DELETE', '/memories?user=bob')).json()).toEqual({ forgotten: 1 })
  })
})

describe('the embeddings service', () => {
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(stack.url.embeddings + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return { response, body: (await response.json()) as { embeddings: number[][]; data: { embedding: number[] }[] } }
  }

  test('gives the same vector in both dialects, and names the revision that made it', async () => {
    const input = ['The kitchen light is off.']
    const openAi = await post('/v1/embeddings', { input })
    const ollama = await post('/api/embed', { model: 'all-minilm', input })
    expect(ollama.body.embeddings[0]).toEqual(openAi.body.data[0]?.embedding)
    expect(openAi.response.headers.get('x-model-revision')).toMatch(/^[0-9a-f]{12}-fp32$/)
    const loaded = (await (await fetch(`${stack.url.embeddings}/api/ps`)).json()) as { models: object[] }
    expect(loaded.models).toMatchObject([{ name: 'demo/minilm' }])
  })

  test('gives texts of very different lengths the vectors that each has alone', async () => {
    const input = [1, 90, 4, 60, 2, 30].map((words) => Array(words).fill('light').join(' '))
    const together = (await post('/v1/embeddings', { input })).body.data
    for (const [at, text] of input.entries()) {
      const alone = (await post('/v1/embeddings', { input: text })).body.data[0]?.embedding ?? []
      const worst = Math.max(...alone.map((value, place) => Math.abs(value - (together[at]?.embedding[place] ?? 9))))
      expect(worst).toBeLessThan(1e-4)
    }
  })
})
