import { afterEach, expect, test } from 'vitest'
import { readOrchestratorConfig } from '../config.ts'
import { createLogger } from '@hearth/shared/telemetry'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { Answer, HttpStub } from '../testing/http-stub.ts'
import { createLanguageModels } from './language-models.ts'
import type { LanguageModels } from './language-models.ts'
import type { ReplyPiece } from './llm.ts'

const PROMPT = { instructions: '', history: [], memories: [], user: 'Hi.' }
const log = createLogger({ service: 'test', level: 'silent' })

const stubs: HttpStub[] = []
let models: LanguageModels | undefined
afterEach(async () => {
  await models?.close()
  await Promise.all(stubs.splice(0).map((stub) => stub.close()))
})

async function serverOf(answer: Answer): Promise<string> {
  const stub = await startStub(answer)
  stubs.push(stub)
  return stub.url
}

const sayLine = (text: string) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`
const good: Answer = (response) => response.end(`${sayLine('From openai.')}data: [DONE]\n\n`)
const broken: Answer = (response) => response.writeHead(500).end()
const ollama: Answer = (response, { path }) =>
  path === '/api/tags'
    ? sendJson(response, { models: [{ name: 'm:latest' }] })
    : sendJson(response, { message: { role: 'assistant', content: 'From ollama.' }, done: true })

/** A chain with the given servers; an address that is left out has nobody there. */
async function setUp(servers: { openai?: Answer; ollama?: Answer }, env: Record<string, string> = {}) {
  let starts = 0
  const status = { id: 'demo/chat', source: 'demo', state: 'ready', progress: null, loadMs: 1 } as const
  const chat = {
    status: { ...status, firstInferenceMs: 1, secondInferenceMs: 1, warning: null, error: null },
    preload: () => void (starts += 1),
    submit: async (_: unknown, __: AbortSignal, onPiece?: (piece: string) => void) => {
      onPiece?.('From the embedded one.')
      const output = { text: '', tokens: 5, promptTokens: 9 }
      return { output, queueMs: 0, inferenceMs: 1, batchSize: 1, model: 'demo/chat' }
    },
  }
  const config = readOrchestratorConfig({
    OLLAMA_MODEL: 'm',
    OLLAMA_URL: servers.ollama ? await serverOf(servers.ollama) : 'http://127.0.0.1:1',
    ...(servers.openai && { LLM_URL: await serverOf(servers.openai), LLM_MODEL: 'gpt' }),
    ...env,
  })
  models = createLanguageModels(config, chat, log)
  await models.start()
  return { models, starts: () => starts }
}

async function ask(from: LanguageModels) {
  let text = ''
  let last: ReplyPiece | undefined
  for await (const piece of from.reply(PROMPT, new AbortController().signal)) {
    text += piece.text
    last = piece
  }
  return { text, fallbacks: last?.fallbacks?.map(({ model }) => model) }
}

test('a server that is configured answers before Ollama, and the embedded model is not loaded', async () => {
  const { models: chain, starts } = await setUp({ openai: good, ollama })
  expect(await ask(chain)).toEqual({ text: 'From openai.', fallbacks: undefined })
  expect([chain.name, chain.status.id, starts()]).toEqual(['openai/gpt', 'openai/gpt', 0])
})

test('Ollama answers when the server fails, and the reply tells', async () => {
  const { models: chain, starts } = await setUp({ openai: broken, ollama })
  expect(await ask(chain)).toEqual({ text: 'From ollama.', fallbacks: ['openai/gpt'] })
  expect([chain.name, starts()]).toEqual(['ollama/m', 0])
})

test('the embedded model answers when nobody is there, and has been loaded before', async () => {
  const { models: chain, starts } = await setUp({})
  expect(starts()).toBeGreaterThan(0)
  expect(await ask(chain)).toEqual({ text: 'From the embedded one.', fallbacks: ['ollama/m'] })
})

test('the embedded model is loaded once the models before it have failed', async () => {
  const { models: chain, starts } = await setUp({ openai: broken })
  expect(starts()).toBe(0)
  expect(await ask(chain)).toEqual({ text: 'From the embedded one.', fallbacks: ['openai/gpt', 'ollama/m'] })
  expect([starts() > 0, chain.status.id]).toEqual([true, 'demo/chat'])
})

test('the order is the one that is set', async () => {
  const { models: chain } = await setUp({ openai: good, ollama }, { LLM_CHAIN: 'ollama,openai' })
  expect(await ask(chain)).toEqual({ text: 'From ollama.', fallbacks: undefined })
})

test('a chain of servers alone loads nothing, and is not ready when none is', async () => {
  const { models: chain, starts } = await setUp({}, { LLM_CHAIN: 'ollama' })
  expect([starts(), chain.status.state]).toEqual([0, 'failed'])
  await expect(ask(chain)).rejects.toMatchObject({ code: 'dependency_unavailable' })
})

test.each([
  ['offered', { LLM_TOOLS: 'true' }, true],
  ['not offered unless asked for', {}, false],
])('tools are %s', async (_, env, expected) => {
  const offers: boolean[] = []
  const openai: Answer = (response, asked, request) => {
    offers.push('tools' in JSON.parse(asked.body))
    good(response, asked, request)
  }
  const { models: chain } = await setUp({ openai }, { ...env })
  await ask(chain)
  expect(offers).toEqual([expected])
})

test('a chain of nobody is refused', async () => {
  await expect(setUp({}, { LLM_CHAIN: 'openai' })).rejects.toMatchObject({ code: 'invalid_config' })
})

test.each([
  ['a server that is there', { ollama }, {}, true],
  ['no server that is away', {}, {}, false],
  ['never the embedded model', {}, { LLM_CHAIN: 'embedded' }, undefined],
])('work that nobody waits for goes to %s', async (_, servers, env, isUsable) => {
  const { models: chain } = await setUp(servers, { ...env })
  expect(chain.servers?.isUsable()).toBe(isUsable)
})
