import { expect, test } from 'vitest'
import type { LanguageModel, Prompt, ReplyPiece } from './llm.ts'
import { cacheReplies } from './reply-cache.ts'

const PROMPT: Prompt = {
  instructions: 'Be kind.',
  history: [],
  memories: ['My name is Anna.'],
  user: 'When is it open?',
}
const live = () => new AbortController().signal

function setUp(last: Partial<ReplyPiece> = {}, maxEntries = 10) {
  let time = 0
  let asked = 0
  const llm: LanguageModel = {
    name: 'fake/mind',
    async *reply() {
      asked++
      yield { text: `Answer ${asked}, `, model: 'fake/mind' }
      yield { text: 'at nine.', model: 'fake/mind' }
      yield { text: '', model: 'fake/mind', usage: { replyTokens: 4 }, ...last }
    },
  }
  const reply = cacheReplies(llm, { keptMs: 1000, maxEntries, now: () => time })
  const ask = async (prompt: Prompt = PROMPT) => {
    const pieces: ReplyPiece[] = []
    for await (const piece of reply(prompt, live())) pieces.push(piece)
    return { text: pieces.map(({ text }) => text).join(''), cached: pieces.at(-1)?.cached, asked }
  }
  return { ask, advance: (ms: number) => (time += ms), reply }
}

test('the same question within the time is answered the same, without asking the model, and says so', async () => {
  const { ask, advance } = setUp()
  expect(await ask()).toEqual({ text: 'Answer 1, at nine.', cached: undefined, asked: 1 })
  advance(999)
  expect(await ask()).toEqual({ text: 'Answer 1, at nine.', cached: true, asked: 1 })
  advance(1)
  expect(await ask()).toMatchObject({ text: 'Answer 2, at nine.', asked: 2 })
})

test('the same question of another conversation is the same question', async () => {
  const { ask } = setUp()
  await ask({ ...PROMPT, session: 'a' })
  expect(await ask({ ...PROMPT, session: 'b' })).toMatchObject({ cached: true, asked: 1 })
})

test.each<[string, Partial<Prompt>]>([
  ['words', { user: 'When does it close?' }],
  ['history', { history: [{ user: 'Hi.', reply: 'Hello.' }] }],
  ['memories', { memories: [] }],
  ['instructions', { instructions: 'Be brief.' }],
  ['language', { language: 'de' }],
  ['limits', { maxTokens: 7 }],
])('other %s are another question', async (_, change) => {
  const { ask } = setUp()
  await ask()
  expect(await ask({ ...PROMPT, ...change })).toMatchObject({ cached: undefined, asked: 2 })
})

test.each<[string, Partial<ReplyPiece>]>([
  ['a broken off reply', { incomplete: true }],
  ['one that is cut at its limit', { isFull: true }],
  ['one that asks for a call', { toolCalls: [{ id: 'a', name: 'weather', args: '{}' }] }],
  ["a fallback's reply", { fallbacks: [{ model: 'other/mind', code: 'dependency_unavailable' }] }],
])('%s is not given again', async (_, last) => {
  const { ask } = setUp(last)
  await ask()
  expect(await ask()).toMatchObject({ cached: undefined, asked: 2 })
})

test('a reply whose reader left is not kept', async () => {
  const { ask, reply } = setUp()
  for await (const _ of reply(PROMPT, live())) break
  expect(await ask()).toMatchObject({ text: 'Answer 2, at nine.', asked: 2 })
})

test('so many replies are kept at most: the oldest goes', async () => {
  const { ask } = setUp({}, 2)
  for (const user of ['a', 'b', 'c']) await ask({ ...PROMPT, user })
  expect(await ask({ ...PROMPT, user: 'c' })).toMatchObject({ cached: true })
  expect(await ask({ ...PROMPT, user: 'a' })).toMatchObject({ cached: undefined, asked: 4 })
})
