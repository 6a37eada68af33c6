import { expect, test } from 'vitest'
import { runSelfTest, SENTENCE } from './self-test.ts'

/** A server that speaks for a second and hears `text`; each request takes 10 ms of the test's clock. */
function server(text: string) {
  const asked: unknown[] = []
  let ms = 0
  const fetch = async (path: string, init: RequestInit) => {
    ms += 10
    asked.push(path, init.body instanceof FormData ? init.body.get('language') : init.body)
    return path.endsWith('speech') ? new Response(new Uint8Array(44 + 48_000)) : Response.json({ text })
  }
  return { asked, fetch, now: () => ms }
}

test('says a sentence, has it heard, and tells errors and times', async () => {
  const { fetch, now, asked } = server(` ${SENTENCE.replace('purple', 'turtle')}`)
  expect(await runSelfTest({ fetch, now, voice: 'af_demo' })).toEqual({
    said: SENTENCE,
    heard: SENTENCE.replace('purple', 'turtle'),
    wordErrorRate: 1 / 8,
    firstByteMs: 10,
    speechMs: 10,
    hearingMs: 10,
    soundSeconds: 1,
  })
  expect(asked[1]).toBe(JSON.stringify({ model: 'tts-1', input: SENTENCE, voice: 'af_demo', response_format: 'wav' }))
  expect(asked[3]).toBe('en')
})

test('a voice is asked for also when none is chosen', async () => {
  const { fetch, now, asked } = server(SENTENCE)
  expect(await runSelfTest({ fetch, now, voice: '' })).toMatchObject({ wordErrorRate: 0 })
  expect(asked[1]).toContain('"voice":"alloy"')
})
