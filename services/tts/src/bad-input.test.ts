/** Requests that services of this kind stumble over, beside those in app.test.ts: a clear 4xx or sensible speech, and the service goes on. */
import { AppError } from '@hearth/shared/errors'
import { describe, expect, test } from 'vitest'
import type { Submit } from './speak.ts'
import { expectError, GOOD, post, setUp, wordy } from './testing/app.ts'

const roomy = { maxChars: 32_768 }
const say = (input: string, overrides = {}) => {
  const { app, inputs } = setUp(wordy, { ...roomy, ...overrides })
  return { reply: post(app, { ...GOOD, input, response_format: 'pcm' }), inputs }
}

describe('is spoken, every word of it', () => {
  test.each([
    ['a word of 4000 letters', 'a'.repeat(4000)],
    ['4000 times a', 'a '.repeat(4000)],
    ['10,000 new lines', `${'\n'.repeat(10_000)}end`],
    ['1000 sentences of one letter', 'a. '.repeat(1000)],
    ['brackets 4000 deep', `${'('.repeat(4000)}a${')'.repeat(4000)}`],
    ['a number of 300 digits', '10'.repeat(150)],
    ['an account number', 'DE89 3704 0044 0532 0130 00'],
    ['numbers at the edge', '1e999, -0, .5, 1/0, 0x1F'],
    ['a path', '/etc/passwd and C:\\Windows\\System32'],
    ['code', '```ts\nconst a = b ?? [1, 2]\n```'],
    ['an override without an end', '[word](/abc and [pause: and [x](y'],
    ['markup that never ends', '<a '.repeat(3000)],
    ['a table', '| a | b |\n|---|---|\n| 1 | 2 |'],
  ])('%s', async (_, input) => {
    const { reply, inputs } = say(input)
    const response = await reply
    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(0)
    const said = inputs.map(({ text }) => text.replace(/\W/gu, '').length)
    expect(Math.min(...said)).toBeGreaterThan(0)
  })

  test('letters are all there', async () => {
    const { reply, inputs } = say('ab '.repeat(4000))
    await (await reply).arrayBuffer()
    expect(
      inputs
        .map(({ text }) => text)
        .join(' ')
        .match(/ab/g),
    ).toHaveLength(4000)
  })
})

describe('has nothing that the voice can say', () => {
  test.each(['...!?', '!'.repeat(2000), '🎉', '你好', 'مرحبا', 'สวัสดี', 'नमस्ते', '[pause:1s]', '---', '| | |'])(
    '%.12j',
    async (input) => {
      const { reply, inputs } = say(input)
      await expectError(await reply, 400, 'nothing_to_speak')
      expect(inputs).toEqual([])
    },
  )
})

test('a Hindi voice says what an English one can not, and Latin words too', async () => {
  const { reply, inputs } = say('नमस्ते। hello', { voices: () => ['hf_alpha'] })
  expect((await reply).status).toBe(200)
  expect(inputs.map(({ text }) => text)).toEqual(['नमस्ते.', 'hello'])
})

test('the same letters composed or not, wide or not, are the same words', async () => {
  const texts = await Promise.all(
    ['naïve café', 'naïve café'.normalize('NFD'), 'ｎａïｖｅ ｃａｆé'].map(async (input) => {
      const { reply, inputs } = say(input)
      await (await reply).arrayBuffer()
      return inputs.map(({ text }) => text)
    }),
  )
  expect(texts[1]).toEqual(texts[0])
  expect(texts[2]).toEqual(texts[0])
})

test.each(['wav; rm', 'WAV', '', '__proto__'])('the format %j is refused', async (format) => {
  await expectError(await post(setUp().app, { ...GOOD, response_format: format }), 400, 'invalid_request')
})

test('what the client says it accepts does not change the format', async () => {
  const headers = { 'content-type': 'application/json', accept: 'video/mp4' }
  const response = await post(setUp().app, GOOD, { headers })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'audio/mpeg'])
})

test('a part of a speech can not be asked for: the whole is sent', async () => {
  const headers = { 'content-type': 'application/json', range: 'bytes=0-9' }
  const response = await post(setUp().app, { ...GOOD, response_format: 'pcm' }, { headers })
  expect(response.status).toBe(200)
  expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(10)
})

test.each(['HEAD', 'GET', 'PUT', 'DELETE'])('%s is not how speech is asked for', async (method) => {
  const response = await setUp().app.request('/v1/audio/speech', { method })
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
})

test('a queue that is full is told as such', async () => {
  const full: Submit = async () => {
    throw new AppError('overloaded', 'too many are waiting', { retryAfterMs: 1000 })
  }
  const response = await post(setUp(full).app, GOOD)
  expect(response.headers.get('retry-after')).toBe('1')
  await expectError(response, 429, 'overloaded')
})

test.each([0, 1_000_000])(
  'a hundred of the same at once get the same bytes (cache of %i bytes)',
  async (phraseCacheBytes) => {
    const { app } = setUp(wordy, { phraseCacheBytes })
    const replies = await Promise.all(Array.from({ length: 100 }, () => post(app, { ...GOOD, response_format: 'pcm' })))
    const bodies = await Promise.all(
      replies.map(async (reply) => Buffer.from(await reply.arrayBuffer()).toString('base64')),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(bodies).size).toBe(1)
  },
)
