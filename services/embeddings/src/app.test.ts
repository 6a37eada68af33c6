import { EmbeddingsReply, ErrorBody } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readyModel } from '@hearth/shared/testing/model-status'
import { slotOf } from '@hearth/shared/testing/slot'
import { describe, expect, test } from 'vitest'
import { createEmbeddingsApp } from './app.ts'
import type { EmbeddingsAppOptions } from './embed-input.ts'
import type { Submit } from './embed.ts'
import type { Tokenizer } from './tokenizer.ts'

const STATUS = readyModel('demo/minilm')

/** One token per word, and one at each end. */
const TOKENIZER: Tokenizer & { revision: string } = {
  encode: (text) => new Int32Array(text.split(' ').length + 2).fill(9),
  maxTokens: 16,
  dimensions: 3,
  shorterSizes: [2],
  vocabularySize: 100,
  revision: '0123456789ab-fp32',
}

const embedded = (ids: Int32Array): Awaited<ReturnType<Submit>> => ({
  output: Float32Array.from([ids.length, 0.5, -0.25]),
  queueMs: ids.length,
  inferenceMs: 5,
  batchSize: 4,
  model: 'demo/minilm',
})

const MODEL = { id: 'Xenova/all-MiniLM-L6-v2', demo: 'minilm' }

function setUp(submit: Submit = async (ids) => embedded(ids), overrides: Partial<EmbeddingsAppOptions> = {}) {
  const rows: Int32Array[] = []
  const model = {
    status: STATUS,
    ready: async () => {},
    submit: (ids: Int32Array, signal: AbortSignal) => {
      rows.push(ids)
      return submit(ids, signal)
    },
  }
  const app = createEmbeddingsApp({
    slot: slotOf({ ...MODEL, model, prepared: () => TOKENIZER }),
    maxTexts: 40,
    log: createLogger({ service: 'embeddings', level: 'silent' }),
    metrics: createMetrics('embeddings'),
    ...overrides,
  })
  return { app, rows }
}

const post = async (app: ReturnType<typeof setUp>['app'], body: unknown, headers = {}): Promise<Response> =>
  app.request('/v1/embeddings', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

async function expectError(response: Response, status: number, code: string): Promise<ErrorBody['error']> {
  const { error } = ErrorBody.parse(await response.json())
  expect([response.status, error.code]).toEqual([status, code])
  return error
}

describe('a good request', () => {
  test("for one text is answered with OpenAI's body, real token counts and the model", async () => {
    const response = await post(setUp().app, { model: 'text-embedding-3-small', input: 'two words' })
    expect(response.status).toBe(200)
    expect(EmbeddingsReply.parse(await response.json())).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [4, 0.5, -0.25] }],
      model: 'demo/minilm',
      usage: { prompt_tokens: 4, total_tokens: 4 },
    })
  })

  test('for many texts keeps their order, and submits each by itself', async () => {
    const { app, rows } = setUp(async (ids) => {
      // The last comes back first.
      for (let turn = 0; turn < 20 - ids.length; turn++) await Promise.resolve()
      return embedded(ids)
    })
    const input = ['a', 'a b', 'a b c', 'a b c d']
    const reply = EmbeddingsReply.parse(await (await post(app, { model: 'demo/minilm', input })).json())
    expect(reply.data.map(({ index, embedding }) => [index, embedding[0]])).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
      [3, 6],
    ])
    expect(reply.usage).toEqual({ prompt_tokens: 18, total_tokens: 18 })
    expect(rows.map(({ length }) => length)).toEqual([3, 4, 5, 6])
  })

  test('may ask for base64: little-endian float32', async () => {
    const response = await post(setUp().app, { input: 'two words', encoding_format: 'base64' })
    const { data } = (await response.json()) as { data: { embedding: string }[] }
    const bytes = Buffer.from(data[0]?.embedding ?? '', 'base64')
    expect([0, 4, 8].map((at) => bytes.readFloatLE(at))).toEqual([4, 0.5, -0.25])
  })

  test('has the times of its slowest text in the headers', async () => {
    const { headers } = await post(setUp().app, { input: ['a', 'a b c', 'a b'] })
    expect([headers.get('x-queue-time'), headers.get('x-inference-time'), headers.get('x-batch-size')]).toEqual([
      '5.0',
      '5.0',
      '4',
    ])
    expect(headers.get('x-model')).toBe('demo/minilm')
  })

  test("may name the vectors' size, and a user", async () => {
    expect((await post(setUp().app, { input: 'a', dimensions: 3, user: 'u1' })).status).toBe(200)
  })

  test('may ask for shorter vectors where the model has them, which have length 1 again', async () => {
    const reply = EmbeddingsReply.parse(await (await post(setUp().app, { input: 'a b', dimensions: 2 })).json())
    const [x = 0, y = 0, ...none] = reply.data[0]?.embedding ?? []
    expect([x / y, Math.hypot(x, y), none]).toEqual([expect.closeTo(8, 4), expect.closeTo(1, 6), []])
  })

  test('may be token ids, of one text or of several, which are counted as they are', async () => {
    const { app, rows } = setUp()
    const one = EmbeddingsReply.parse(await (await post(app, { input: [1, 2, 3] })).json())
    expect([one.data.length, one.usage.prompt_tokens]).toEqual([1, 3])
    const two = EmbeddingsReply.parse(await (await post(app, { input: [[4, 5], [6]] })).json())
    expect([two.data.length, two.usage.prompt_tokens]).toEqual([2, 3])
    expect(rows).toEqual([Int32Array.of(1, 2, 3), Int32Array.of(4, 5), Int32Array.of(6)])
  })

  test('that asks for it has its long texts cut, keeping the last token, and is told which', async () => {
    const { app, rows } = setUp()
    const response = await post(app, {
      input: ['a', 'a '.repeat(40), [...Array(20).keys()].join('x'), 'y'.repeat(9000)],
      truncate: true,
    })
    expect([response.status, response.headers.get('x-truncated')]).toEqual([200, '1,3'])
    expect(rows.map(({ length }) => length)).toEqual([3, 16, 3, 3])
    const ids = await post(app, { input: [[...Array(20).keys()]], truncate: true })
    expect([ids.status, rows.at(-1)?.at(-1), rows.at(-1)?.length]).toEqual([200, 19, 16])
  })

  test('says which revision of the model answered', async () => {
    expect((await post(setUp().app, { input: 'a' })).headers.get('x-model-revision')).toBe('0123456789ab-fp32')
  })

  test('waits for the model while its tokenizer is not there', async () => {
    let tokenizer: Tokenizer | null = null
    const model = {
      status: STATUS,
      submit: async (ids: Int32Array) => embedded(ids),
      ready: async () => void (tokenizer = TOKENIZER),
    }
    const { app } = setUp(undefined, { slot: slotOf({ ...MODEL, model, prepared: () => tokenizer }) })
    expect((await post(app, { input: 'a' })).status).toBe(200)
  })
})

describe('a bad request is refused before the queue, with the one error body:', () => {
  const cases: readonly (readonly [what: string, body: unknown, status: number, code: string, says?: string])[] = [
    ['no input', { model: 'demo/minilm' }, 400, 'invalid_request', 'input'],
    ['an empty text', { input: '' }, 400, 'empty_text', 'input: expected'],
    ['an empty text among others', { input: ['a', 'b', ''] }, 400, 'empty_text', 'input[2]'],
    ['a blank text among others', { input: ['a', ' \n\t'] }, 400, 'empty_text', 'input[1]'],
    ['an empty list', { input: [] }, 400, 'invalid_request', 'at least one'],
    ['too many texts', { input: Array(41).fill('a') }, 413, 'batch_too_large', 'at most 40 texts, got 41'],
    [
      'a text of too many tokens',
      { input: ['a', 'a '.repeat(15)] },
      400,
      'input_too_long',
      'input[1]: expected at most 16 tokens, got 18',
    ],
    ['a text of far too many characters', { input: 'x'.repeat(1_000_000) }, 400, 'input_too_long', 'at most 16 tokens'],
    ['an id of no token', { input: [1, 100] }, 400, 'invalid_request', 'input: expected ids below 100'],
    ['an id of no token among others', { input: [[1], [1e9]] }, 400, 'invalid_request', 'input[1]: expected ids'],
    ['too many ids', { input: [Array(17).fill(1)] }, 400, 'input_too_long', 'input[0]: expected at most 16 tokens'],
    ['a text without tokens', { input: [[]] }, 400, 'invalid_request', 'input'],
    ['a negative id', { input: [-1] }, 400, 'invalid_request', 'input'],
    ['half an id', { input: [1.5] }, 400, 'invalid_request', 'input'],
    [
      'texts and numbers',
      { input: ['a', 1, null] },
      400,
      'invalid_request',
      'input[1]: expected a text as before, got a number',
    ],
    [
      'nothing among texts',
      { input: ['a', 'b', null] },
      400,
      'invalid_request',
      'input[2]: expected a text as before, got nothing',
    ],
    ['lists of texts', { input: [['a']] }, 400, 'invalid_request', 'input'],
    ['a number', { input: 5 }, 400, 'invalid_request', 'got a number'],
    ['another size', { input: 'a', dimensions: 1 }, 400, 'invalid_request', 'expected 2, 3'],
    ['a size that is no number', '{"input": "a", "dimensions": NaN}', 400, 'invalid_json'],
    ['a size in quotes', { input: 'a', dimensions: '2' }, 400, 'invalid_request', 'dimensions'],
    ['a size that is none', { input: 'a', dimensions: 0 }, 400, 'invalid_request', 'dimensions'],
    ['an unknown format', { input: 'a', encoding_format: 'int8' }, 400, 'invalid_request', 'float or base64'],
    ['an unknown model', { input: 'a', model: 'nothing' }, 404, 'model_not_found', 'nothing'],
    ['an unknown field', { input: 'a', colour: 'red' }, 400, 'unknown_field', 'colour'],
    ['broken JSON', '{"input": "a"', 400, 'invalid_json'],
    ['an empty body', '', 400, 'invalid_json'],
    ['half a character', '{"input":"\\ud800"}', 400, 'invalid_encoding'],
  ]
  for (const [what, body, status, code, says = ''] of cases)
    test(`${what} is refused`, async () => {
      const { app, rows } = setUp()
      const error = await expectError(await post(app, body), status, code)
      expect(error.message).toContain(says)
      expect(rows).toHaveLength(0)
      expect((await post(app, { input: 'a' })).status).toBe(200)
    })

  test('a body that is no JSON, the wrong method, an unknown path', async () => {
    const { app } = setUp()
    await expectError(await post(app, 'a', { 'content-type': 'text/plain' }), 415, 'unsupported_content_type')
    await expectError(await app.request('/v1/embeddings'), 405, 'method_not_allowed')
    await expectError(await app.request('/v1/nothing', { method: 'POST' }), 404, 'not_found')
  })
})

test('when one text fails the request fails, and the texts that still wait are given up', async () => {
  const signals: AbortSignal[] = []
  const { app } = setUp(async (ids, signal) => {
    signals.push(signal)
    if (signals.length === 2) throw new AppError('overloaded', 'the queue is full', { retryAfterMs: 200 })
    return embedded(ids)
  })
  const response = await post(app, { input: ['a', 'b', 'c'] })
  await expectError(response, 429, 'overloaded')
  expect(response.headers.get('retry-after-ms')).toBe('200')
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true])
})

test('the models are listed under the name that answers and the ones that clients send', async () => {
  const { app } = setUp()
  expect(await (await app.request('/v1/models')).json()).toMatchObject({ object: 'list' })
  expect((await app.request('/v1/models/Xenova/all-MiniLM-L6-v2')).status).toBe(200)
  await expectError(await app.request('/v1/models/nobody/nothing'), 404, 'model_not_found')
})
