import { AppError } from '@hearth/shared/errors'
import { expect, test } from 'vitest'
import { createEmbeddedChat } from './embedded.ts'
import type { Prompt, ReplyPiece } from './llm.ts'

type ChatModel = Parameters<typeof createEmbeddedChat>[0]

const PROMPT: Prompt = { instructions: '', history: [], memories: [], user: 'Hi.' }
const modelWith = (submit: ChatModel['submit']): ChatModel => ({
  submit,
  status: {
    id: 'demo/chat',
    source: 'demo',
    state: 'ready',
    progress: null,
    loadMs: 1,
    firstInferenceMs: 1,
    secondInferenceMs: 1,
    warning: null,
    error: null,
  },
})
const result = {
  output: { text: '', tokens: 1, promptTokens: 9 },
  queueMs: 0,
  inferenceMs: 1,
  batchSize: 1,
  model: 'demo/chat',
}

async function ask(submit: ChatModel['submit'], signal = new AbortController().signal): Promise<ReplyPiece[]> {
  const pieces: ReplyPiece[] = []
  for await (const piece of createEmbeddedChat(modelWith(submit)).reply(PROMPT, signal)) pieces.push(piece)
  return pieces
}

test('the engine\u2019s pieces come out in order, under the name of the model that runs, and what it took last', async () => {
  const pieces = await ask(async (_, __, onPiece) => {
    onPiece?.('Hello')
    onPiece?.(' there.')
    return result
  })
  expect(pieces).toEqual([
    { text: 'Hello', model: 'demo/chat' },
    { text: ' there.', model: 'demo/chat' },
    { text: '', model: 'demo/chat', usage: { promptTokens: 9, replyTokens: 1 } },
  ])
})

test('an engine that fails fails the reply', async () => {
  const submit = async (): Promise<never> => {
    throw new AppError('engine_failed', 'crashed')
  }
  await expect(ask(submit)).rejects.toMatchObject({ code: 'engine_failed' })
})

test('a reader who leaves stops the engine, and late pieces harm nobody', async () => {
  const stopped = Promise.withResolvers<void>()
  const submit: ChatModel['submit'] = (_, signal, onPiece) =>
    new Promise((__, reject) => {
      onPiece?.('Hello')
      signal.addEventListener('abort', () => {
        onPiece?.(' late')
        reject(signal.reason)
        stopped.resolve()
      })
    })
  for await (const _ of createEmbeddedChat(modelWith(submit)).reply(PROMPT, new AbortController().signal)) break
  await expect(stopped.promise).resolves.toBeUndefined()
})
