import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HearthEmbeddings } from './hearth.ts'
import { OllamaEmbeddings } from './ollama.ts'

type Request = { path: string; body: Record<string, unknown>; key: string | undefined }
let url = ''
let requests: Request[] = []
let answer: (request: Request) => { status?: number; body: unknown }
const server = createServer((incoming, outgoing) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
    const request = { path: incoming.url ?? '', body, key: incoming.headers.authorization }
    requests.push(request)
    const { status = 200, body: reply } = answer(request)
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
  })
})
beforeEach(async () => {
  requests = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

const inputOf = ({ body }: Request): string[] => body['input'] as string[]
const lengths = (request: Request) => inputOf(request).map((text) => [text.length, 1])
const asOpenAi = (vectors: unknown[]) => ({ data: vectors.map((embedding, index) => ({ index, embedding })) })

describe("the function on Hearth's service", () => {
  test('gives vectors in the order of the texts, whatever order they come in', async () => {
    answer = (request) => ({ body: { data: asOpenAi(lengths(request)).data.toReversed() } })
    const vectors = await new HearthEmbeddings({ url: `${url}/`, model: 'm' }).generate(['a', 'bb', 'ccc'])
    expect(vectors).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ])
    expect(requests).toMatchObject([{ path: '/v1/embeddings', body: { model: 'm', encoding_format: 'float' } }])
  })

  test('splits more texts than one request takes', async () => {
    answer = (request) => ({ body: asOpenAi(lengths(request)) })
    expect(await new HearthEmbeddings({ url }).generateForQueries(Array(600).fill('a'))).toHaveLength(600)
    expect(requests.map((request) => inputOf(request).length)).toEqual([256, 256, 88])
  })

  test('sends the key from the environment, and has only its name in the configuration', async () => {
    answer = (request) => ({ body: asOpenAi(lengths(request)) })
    process.env['HEARTH_TEST_KEY'] = 'secret'
    const keyed = new HearthEmbeddings({ url, apiKeyEnvVar: 'HEARTH_TEST_KEY' })
    await keyed.generate(['a'])
    expect(requests[0]?.key).toBe('Bearer secret')
    expect(JSON.stringify(keyed.getConfig())).not.toContain('secret')
    delete process.env['HEARTH_TEST_KEY']
    await expect(keyed.generate(['a'])).rejects.toThrow('HEARTH_TEST_KEY')
  })
})

test("the function on Ollama's endpoint asks for whole texts and for the model to stay", async () => {
  answer = (request) => ({ body: { embeddings: lengths(request) } })
  expect(await new OllamaEmbeddings({ url, model: 'm' }).generate(['abc'])).toEqual([[3, 1]])
  expect(requests).toMatchObject([{ path: '/api/embed', body: { model: 'm', truncate: false, keep_alive: -1 } }])
})

describe.each([
  ['hearth', HearthEmbeddings],
  ['hearth-ollama', OllamaEmbeddings],
])("Chroma's contract: %s", (name, Made) => {
  test('what a function tells of itself makes the same function again', () => {
    const made = new Made({ url: 'http://box:1234', model: 'm', apiKeyEnvVar: 'KEY', limitMs: 5 })
    const stored = made.getConfig()
    expect(stored).toEqual({ url: 'http://box:1234', model_name: 'm', api_key_env_var: 'KEY', limit_ms: 5 })
    const again = Made.buildFromConfig(JSON.parse(JSON.stringify(stored)) as Record<string, unknown>)
    expect([again.name, again.getConfig()]).toEqual([name, stored])
    expect(made.supportedSpaces()).toContain(made.defaultSpace())
  })

  test('a configuration that is none is refused, and so is another model for the same collection', () => {
    for (const config of [{}, { url: 'file:///etc', model_name: 'm' }, { url: 5, model_name: 'm' }])
      expect(() => new Made().validateConfig(config)).toThrow('expected')
    const made = new Made({ model: 'm' })
    expect(() => made.validateConfigUpdate({ model_name: 'other' })).toThrow('can not be changed')
    made.validateConfigUpdate({ model_name: 'm' })
  })

  test("a server's error is told in its words, and an answer that is not vectors is an error", async () => {
    answer = () => ({ status: 404, body: { error: 'no such model' } })
    await expect(new Made({ url }).generate(['a'])).rejects.toThrow('404: no such model')
    answer = () => ({ status: 400, body: { error: { message: 'too long' } } })
    await expect(new Made({ url }).generate(['a'])).rejects.toThrow('400: too long')
    for (const vectors of [[], [[1], [2]], [[]], [['x']], [[null]]]) {
      answer = () => ({ body: { ...asOpenAi(vectors), embeddings: vectors } })
      await expect(new Made({ url }).generate(['a'])).rejects.toThrow('expected')
    }
    answer = () => ({ body: null })
    await expect(new Made({ url }).generate(['a'])).rejects.toThrow('expected 1 vectors')
  })
})
