/** The HTTP clients of the other services, against a stub that misbehaves. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createEmbeddingsClient } from './embeddings.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { Answer, HttpStub } from '../testing/http-stub.ts'
import type { Send } from '../replica-send.ts'
import { createSttClient } from './stt.ts'
import { createTtsClient } from './tts.ts'

let stub: HttpStub | undefined
afterEach(async () => {
  await stub?.close()
  stub = undefined
})

const live = (): AbortSignal => new AbortController().signal
const GENEROUS_MS = 60_000
const WAV = Uint8Array.of(82, 73, 70, 70)
const refusal = (code: string, message = 'no') => ({ error: { message, type: 'x', param: 'file', code } })

async function sttWith(answer: Answer, limitMs = GENEROUS_MS) {
  stub = await startStub(answer)
  return createSttClient({ stage: 'stt', url: stub.url, limitMs })
}

describe('stt', () => {
  test('sends the bytes as they are and gives the trimmed text', async () => {
    const heard = {
      text: ' Hello. ',
      language: 'english',
      model: 'demo/whisper',
      usage: { type: 'duration', seconds: 1 },
    }
    const stt = await sttWith((response) => sendJson(response, heard))
    expect(await stt.transcribe(WAV, live())).toMatchObject({ text: 'Hello.', model: 'demo/whisper' })
    expect(stub?.asked[0]).toMatchObject({ method: 'POST', path: '/v1/audio/transcriptions' })
    expect(stub?.asked[0]?.body).toContain('RIFF')
  })

  test.each([
    [400, refusal('undecodable_audio'), 'undecodable_audio'],
    [413, refusal('audio_too_long'), 'audio_too_long'],
    [429, refusal('overloaded'), 'overloaded'],
    [503, refusal('model_loading'), 'model_loading'],
    [500, refusal('engine_failed'), 'stage_failed'],
    [400, refusal('a_code_of_tomorrow'), 'stage_failed'],
    [502, { detail: 'a proxy' }, 'stage_failed'],
    [200, { hello: 'not a transcription' }, 'stage_failed'],
  ])('an answer of %i %j is the error %s', async (status, body, code) => {
    const stt = await sttWith((response) => sendJson(response, body, status, { 'retry-after-ms': '250' }))
    await expect(stt.transcribe(WAV, live())).rejects.toMatchObject({ code, details: { stage: 'stt' } })
  })

  test('its retry time is passed on', async () => {
    const stt = await sttWith((response) => sendJson(response, refusal('overloaded'), 429, { 'retry-after-ms': '250' }))
    await expect(stt.transcribe(WAV, live())).rejects.toMatchObject({ retryAfterMs: 250 })
  })

  test('nobody there is a failed stage that is named', async () => {
    const gone = await startStub(() => {})
    await gone.close()
    const stt = createSttClient({ stage: 'stt', url: gone.url, limitMs: GENEROUS_MS })
    await expect(stt.transcribe(WAV, live())).rejects.toMatchObject({
      code: 'stage_failed',
      message: expect.stringMatching(/^stt: /),
    })
  })

  test('what is given up before it is sent harms nothing', async () => {
    const escaped = vi.fn<(reason: unknown) => void>()
    process.on('unhandledRejection', escaped)
    const stop = new AbortController()
    const send: Send = (address, attempt) => {
      stop.abort()
      return fetch(address, attempt() ?? {})
    }
    const stt = createSttClient({ stage: 'stt', url: 'http://127.0.0.1:1', limitMs: GENEROUS_MS, send })
    await expect(stt.transcribe(new Uint8Array(90_000), stop.signal)).rejects.toThrow('aborted')
    // A rejection is told once all that was ready has run.
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    process.off('unhandledRejection', escaped)
    expect(escaped).not.toHaveBeenCalled()
  })

  test('no answer within the limit is a failed stage', async () => {
    const stt = await sttWith(() => {}, 20)
    await expect(stt.transcribe(WAV, live())).rejects.toMatchObject({
      code: 'stage_failed',
      message: expect.stringMatching(/within 20 ms/),
    })
  })

  test('the limit holds for the body too', async () => {
    const stt = await sttWith((response) => response.writeHead(200).write('{"text":'), 20)
    await expect(stt.transcribe(WAV, live())).rejects.toMatchObject({ code: 'stage_failed' })
  })

  test('an abort cuts the connection and throws its reason', async () => {
    const closed = Promise.withResolvers<void>()
    const stop = new AbortController()
    const stt = await sttWith((response) => {
      response.on('close', closed.resolve)
      stop.abort(new Error('left'))
    })
    await expect(stt.transcribe(WAV, stop.signal)).rejects.toThrow('left')
    await closed.promise
  })
})

describe('embeddings', () => {
  const data = (...vectors: number[][]) => ({
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: 'demo/minilm',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  })
  const embedWith = async (answer: Answer) => {
    stub = await startStub(answer)
    const client = createEmbeddingsClient({ stage: 'memory', url: stub.url, limitMs: GENEROUS_MS })
    return client.embed(['a', 'b'], live())
  }

  test('gives a vector of length 1 for each text', async () => {
    const { vectors, model } = await embedWith((response) => sendJson(response, data([3, 4], [0, 2])))
    expect(vectors.map((vector) => [...vector].map((value) => Number(value.toFixed(3))))).toEqual([
      [0.6, 0.8],
      [0, 1],
    ])
    expect(model).toBe('demo/minilm')
    expect(JSON.parse(stub?.asked[0]?.body ?? '')).toEqual({ input: ['a', 'b'], encoding_format: 'float' })
  })

  test.each([[data([1, 0])], [data([1, 0], [1])], [data([0, 0], [1, 0])], [data([1, 0], [1e300, 0])], ['<html>']])(
    'vectors that can not be right are a failed stage: %j',
    async (body) => {
      await expect(embedWith((response) => sendJson(response, body))).rejects.toMatchObject({ code: 'stage_failed' })
    },
  )
})

describe('tts', () => {
  let now = 0
  async function ttsWith(answer: Answer) {
    stub = await startStub(answer)
    const service = { stage: 'tts', url: stub.url, limitMs: GENEROUS_MS }
    return createTtsClient(service, { voicesLimitMs: GENEROUS_MS, now: () => now })
  }
  const voices: Answer = (response, { path, body }) => {
    if (path === '/v1/audio/voices') return sendJson(response, { voices: [{ id: 'af_demo', name: 'Demo' }] })
    if (body.includes('nobody')) return sendJson(response, refusal('voice_not_found'), 404)
    response.writeHead(200, { 'content-type': 'audio/pcm', 'x-model': 'demo/kokoro' }).end(Buffer.from([1, 2, 3, 4]))
  }

  test('gives the PCM bytes and the model that spoke', async () => {
    const tts = await ttsWith(voices)
    const speech = await tts.speak('Hello.', 'af_demo', live())
    expect(speech).toEqual({ pcm: Uint8Array.of(1, 2, 3, 4), sampleRateHz: 24_000, model: 'demo/kokoro' })
    expect(JSON.parse(stub?.asked[0]?.body ?? '')).toEqual({
      input: 'Hello.',
      voice: 'af_demo',
      response_format: 'pcm',
    })
  })

  test('text that can not be spoken is silence, not a failure', async () => {
    const tts = await ttsWith((response) => sendJson(response, refusal('nothing_to_speak'), 400))
    expect(await tts.speak('🙂', undefined, live())).toBeNull()
  })

  test('half a sample is a failed stage', async () => {
    const tts = await ttsWith((response) => response.end(Buffer.from([1, 2, 3])))
    await expect(tts.speak('Hello.', undefined, live())).rejects.toMatchObject({ code: 'stage_failed' })
  })

  test('the list of voices is asked for once in a while, not for each request', async () => {
    const tts = await ttsWith(voices)
    for (let n = 0; n < 3; n++) await tts.requireVoice('af_demo', live())
    expect(stub?.asked.map(({ path }) => path)).toEqual(['/v1/audio/voices'])
    now += 31_000
    await tts.requireVoice('af_demo', live())
    expect(stub?.asked).toHaveLength(2)
  })

  test('a name that is not in the list is the service\u2019s to judge', async () => {
    const tts = await ttsWith(voices)
    await tts.requireVoice('alloy', live())
    await tts.requireVoice('alloy', live())
    expect(stub?.asked).toHaveLength(2)
    await expect(tts.requireVoice('nobody', live())).rejects.toMatchObject({ code: 'voice_not_found' })
  })

  const speaking = (...listed: object[]): Promise<ReturnType<typeof createTtsClient>> =>
    ttsWith((response) => sendJson(response, { voices: listed }))

  test('a language is given to the default voice if that speaks it, else to the first that does', async () => {
    const tts = await speaking(
      { id: 'bf_one', language: 'en-gb' },
      { id: 'af_two', language: 'en-us', default: true },
      { id: 'ef_three', language: 'es' },
      { id: 'em_four', language: 'es' },
    )
    await tts.requireVoice('bf_one', live())
    expect(await tts.voiceFor('en', live())).toBeUndefined()
    expect(await tts.voiceFor('es', live())).toBe('ef_three')
    expect(await tts.voiceFor(null, live())).toBeUndefined()
    await expect(tts.voiceFor('de', live())).rejects.toMatchObject({ code: 'voice_not_found' })
  })

  test('a service that tells no languages, or nothing at all, chooses the voice itself', async () => {
    const silent = await speaking({ id: 'alloy' })
    await silent.requireVoice('alloy', live())
    expect(await silent.voiceFor('de', live())).toBeUndefined()
    await stub?.close()
    const away = await ttsWith((response) => sendJson(response, refusal('internal_error'), 500))
    expect(await away.voiceFor('de', live())).toBeUndefined()
  })

  test('an old list of voices serves while a new one is asked for', async () => {
    const held = Promise.withResolvers<void>()
    let count = 0
    const tts = await ttsWith((response) => {
      const answer = () => sendJson(response, { voices: [{ id: `e${count++}`, language: 'es' }] })
      if (count === 0) answer()
      else void held.promise.then(answer)
    })
    await tts.requireVoice('e0', live())
    expect(await tts.voiceFor('es', live())).toBe('e0')
    now += 31_000
    expect(await tts.voiceFor('es', live())).toBe('e0')
    held.resolve()
  })
})
