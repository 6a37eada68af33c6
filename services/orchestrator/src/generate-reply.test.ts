import { AppError } from '@hearth/shared/errors'
import { decodeWav } from '@hearth/shared/wav'
import { describe, expect, test } from 'vitest'
import { collectTurn, extValue, jsonBody, wavReply } from './generate-reply.ts'
import type { TurnDone, TurnEvent } from './turn-events.ts'

const DONE: TurnDone = {
  type: 'done',
  reply: 'Grüße. Tschüss.',
  timings: { llmMs: 1, totalMs: 2 },
  language: null,
  waterfall: [],
  models: { stt: null, embeddings: 'e', llm: 'l', tts: 't' },
  ending: {},
  degraded: new Map(),
}
const audio = (...samples: number[]): TurnEvent => {
  const pcm = new Uint8Array(Int16Array.from(samples).buffer)
  return { type: 'audio', text: 'x', pcm, sampleRateHz: 24_000 }
}

async function collect(...events: TurnEvent[]) {
  async function* stream() {
    yield* events
  }
  return collectTurn({ turn: 'turn_1', session: 's1' }, stream())
}

describe('the JSON reply', () => {
  test('holds all fragments as one WAV', async () => {
    const sound = Array.from({ length: 3000 }, (_, at) => at)
    const turn = await collect({ type: 'transcript', text: 'Hi.' }, audio(...sound), audio(7, 8), DONE)
    const body = jsonBody(turn)
    expect(body).toMatchObject({ session: 's1', transcript: 'Hi.', reply: 'Grüße. Tschüss.', degraded: [] })
    const { samples, sampleRateHz } = decodeWav(Buffer.from(body.audio?.base64 ?? '', 'base64'))
    expect(sampleRateHz).toBe(24_000)
    expect(samples).toHaveLength(3002)
    expect(Math.round((samples[3001] ?? 0) * 32_768)).toBe(8)
  })

  test('has no sound when the voice failed in mid-reply', async () => {
    const degraded = new Map([['tts', new AppError('stage_failed', 'no')]] as const)
    const body = jsonBody(await collect(audio(1, 2), { ...DONE, degraded }))
    expect([body.audio, body.degraded]).toEqual([null, ['tts']])
  })
})

describe('the WAV reply', () => {
  test('carries the rest in headers that any client can read', async () => {
    const told = await collect({ type: 'transcript', text: 'Hé!' }, audio(1, 2), DONE)
    const response = wavReply(told, { 'x-session': 's1' })
    const { headers } = response
    expect(headers.get('x-transcript')).toBe("UTF-8''H%C3%A9!")
    expect(headers.get('x-reply')).toBe("UTF-8''Gr%C3%BC%C3%9Fe.%20Tsch%C3%BCss.")
    expect(JSON.parse(headers.get('x-timings') ?? '')).toEqual({ llmMs: 1, totalMs: 2 })
    expect(headers.get('x-session')).toBe('s1')
    expect((await response.arrayBuffer()).byteLength).toBe(44 + 4)
  })

  test('is a WAV of no samples when nothing was said', async () => {
    const response = wavReply(await collect(DONE), {})
    expect((await response.arrayBuffer()).byteLength).toBe(44)
  })

  test('is refused when the voice failed', async () => {
    const degraded = new Map([['tts', new AppError('stage_failed', 'no')]] as const)
    const turn = await collect({ ...DONE, degraded })
    expect(() => wavReply(turn, {})).toThrow(
      expect.objectContaining({ code: 'stage_failed', details: { stage: 'tts' } }),
    )
  })
})

describe('a text in a header', () => {
  test.each(['', 'plain', "it's (50 %) *bold*", 'Grüße\r\nx-evil: 1', '🙂', '\ud800', '日本語'])(
    'is ASCII: %j',
    (text) => {
      const value = extValue(text)
      expect(value).toMatch(/^UTF-8''[\w.~!%-]*$/)
      expect(decodeURIComponent(value.slice(7))).toBe(text.toWellFormed())
    },
  )

  test('is bounded, cut between characters, and ends in an ellipsis', () => {
    const value = extValue('🙂'.repeat(1000), 100)
    expect(value.length).toBeLessThanOrEqual(100)
    expect(decodeURIComponent(value.slice(7))).toMatch(/^🙂+…$/u)
  })
})

test('a stream without an end is a bug that is told', async () => {
  await expect(collect({ type: 'transcript', text: '' })).rejects.toThrow('this is a bug')
})
