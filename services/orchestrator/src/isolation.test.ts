/**
 * Forty conversations at the same time, each with a word that only it knows, over real HTTP in every form that a turn has. Stages take
 * their time, a different one each time: whatever can be mixed up is. No word may ever be seen in a conversation that is not its own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { createHost } from '@hearth/shared/testing/http-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOrchestratorApp } from './app.ts'
import { Sessions } from './sessions.ts'
import type { Prompt } from './stages/llm.ts'
import { openMemory } from './stages/memory-sqlite.ts'
import { createMemory } from './stages/memory.ts'
import { heardIn, wavSaying } from './testing/job-setup.ts'
import type { Stages } from './turn-events.ts'

const CONVERSATIONS = 40
const log = createLogger({ service: 'test', level: 'silent' })
const folder = mkdtempSync(join(tmpdir(), 'hearth-isolation-'))
const store = openMemory(join(folder, 'memory.sqlite'))

let base = ''
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  const stages = slowStages(seededRandom(20_260_822))
  const app = createOrchestratorApp({
    version: '0',
    stages,
    sessions: new Sessions({ maxSessions: 1000, maxTurns: 20, idleMs: 60_000, maxWaiting: 4 }),
    models: () => [],
    services: { stt: 'http://127.0.0.1:1', tts: 'http://127.0.0.1:1', embeddings: 'http://127.0.0.1:1' },
    isDraining: () => false,
    instructions: 'Be kind.',
    maxUploadBytes: 200_000,
    maxTextChars: 8000,
    maxTurns: 1000,
    turnLimitMs: 60_000,
    log,
    metrics: createMetrics('orchestrator'),
  })
  const { host } = createHost()
  const { port, close } = await serve({ app, port: 0, hostname: '127.0.0.1', log, close: [], host })
  base = `http://127.0.0.1:${port}`
  closing.push(close)
})
afterAll(async () => {
  for (const close of closing) await close()
  store.close()
  rmSync(folder, { recursive: true })
})

/** 0 to 1, always the same numbers (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Each hears, thinks and says what it is given, so that a word goes wherever its conversation's data go. */
function slowStages(random: () => number): Stages {
  /** Some turns of the event loop. */
  async function linger(): Promise<void> {
    for (let left = random() * 12; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
  }
  const embedder = {
    /** The same vector for all: only the owner tells memories apart. */
    embed: async (texts: readonly string[]) => {
      await linger()
      return { vectors: texts.map(() => Float32Array.of(1, 0)), model: 'same' }
    },
  }
  return {
    stt: {
      async transcribe(wav) {
        await linger()
        return { text: heardIn(Buffer.from(wav).toString('latin1')), language: 'en', model: 'fake/ear' }
      },
    },
    memory: createMemory({ embedder, store, threshold: 0.3, budgetMs: 60_000, log }),
    llm: {
      name: 'fake/mind',
      async *reply({ user, history, memories }: Prompt) {
        const known = [...history.map((exchange) => exchange.user), ...memories]
        for (const text of [`You said: ${user} `, 'So far you told me this: ', known.join(' '), ' That is all.']) {
          await linger()
          yield { text, model: 'fake/mind' }
        }
      },
    },
    tts: {
      async speak(text) {
        await linger()
        return { pcm: Buffer.from(text, 'utf16le'), sampleRateHz: 24_000, model: 'fake/voice' }
      },
      voiceFor: async () => undefined,
      requireVoice: linger,
    },
  }
}

const words = (text: string): string[] => text.match(/canary\d+x/g) ?? []
const heard = (pcm: Uint8Array): string => Buffer.from(pcm).toString('utf16le')

/** All that a client is told, as one text. */
type Ask = (n: number, said: string) => Promise<string>

const post = (
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<Response> =>
  fetch(`${base}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })

async function textOf(response: Response): Promise<string> {
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return text
}

async function recordOf(response: Response): Promise<string> {
  return (await fetch(`${base}/turns/${response.headers.get('x-turn')}`)).text()
}

const fieldsOf = (n: number) => ({ session: `s${n}`, user: `u${n}`, voice: 'v' })
const typed = (n: number, text: string) => JSON.stringify({ text, ...fieldsOf(n) })

const asJson: Ask = async (n, said) => {
  const response = await post('/generate', typed(n, said), {})
  const text = await textOf(response)
  const { audio } = JSON.parse(text)
  return text + heard(Buffer.from(audio.base64, 'base64').subarray(44)) + (await recordOf(response))
}

const asEvents: Ask = async (n, said) => {
  const response = await post('/generate', typed(n, said), { accept: 'text/event-stream' })
  const text = await textOf(response)
  const sounds = [...text.matchAll(/"base64":"([^"]+)"/g)].map(([, data = '']) => heard(Buffer.from(data, 'base64')))
  return text + sounds.join(' ') + (await recordOf(response))
}

const asSound: Ask = async (n, said) => {
  const response = await post('/generate', typed(n, said), { accept: 'audio/pcm' })
  return heard(await response.bytes()) + (await recordOf(response))
}

const asSpeech: Ask = async (n, said) => {
  const query = new URLSearchParams(fieldsOf(n)).toString()
  const file = wavSaying(said.replace('.', ''))
  const response = await post(`/generate?${query}`, file, { 'content-type': 'audio/wav' })
  return (await textOf(response)) + (await recordOf(response))
}

const FORMS = [asJson, asEvents, asSound, asSpeech]

test('no reply, transcript, history, memory or sound ever holds the word of another conversation', async () => {
  const talk = async (n: number): Promise<void> => {
    const word = `canary${n}x`
    const said: string[] = []
    for (const [turn, _] of FORMS.entries()) {
      const text = `My secret word ${turn} is ${word}.`
      const ask = FORMS[(turn + n) % FORMS.length] ?? asJson
      const told = words(await ask(n, text))
      expect(told.length).toBeGreaterThan(turn * 2)
      expect(told.every((one) => one === word)).toBe(true)
      said.push(ask === asSpeech ? text.replace('.', '') : text)
    }
    const session = await textOf(await fetch(`${base}/sessions/s${n}?user=u${n}`))
    expect(JSON.parse(session).history.map(({ user }: { user: string }) => user)).toEqual(said)
    expect(words(session).every((one) => one === word)).toBe(true)
  }
  await Promise.all(Array.from({ length: CONVERSATIONS }, (_, n) => talk(n)))
}, 60_000)

test('a new session of a user knows that user’s word, and no other', async () => {
  const ask = async (n: number): Promise<string[]> => {
    const body = JSON.stringify({ text: 'What is my secret word?', user: `u${n}`, session: `new${n}` })
    return words(await textOf(await post('/generate', body, {})))
  }
  const told = await Promise.all(Array.from({ length: CONVERSATIONS }, (_, n) => ask(n)))
  for (const [n, seen] of told.entries()) expect(new Set(seen)).toEqual(new Set([`canary${n}x`]))
})

test('chats, which bring their own history, are as separate', async () => {
  const chat = async (n: number): Promise<void> => {
    const word = `canary${n}x`
    const spoken = { modalities: ['text', 'audio'], audio: { voice: 'v', format: 'pcm16' }, stream: true }
    const messages = [{ role: 'user', content: `My secret word is ${word}.` }]
    const text = await textOf(
      await post('/v1/chat/completions', JSON.stringify({ model: 'm', messages, ...spoken }), {}),
    )
    const sounds = [...text.matchAll(/"data":"([^"]+)"/g)].map(([, data = '']) => heard(Buffer.from(data, 'base64')))
    expect(new Set(words(text + sounds.join(' ')))).toEqual(new Set([word]))
    expect(words(sounds.join(' ')).length).toBeGreaterThan(0)
  }
  await Promise.all(Array.from({ length: CONVERSATIONS }, (_, n) => chat(n)))
})

test('turns of one session that come together keep their order, and none is lost', async () => {
  const texts = Array.from({ length: 5 }, (_, n) => `My word number ${n} is canary${n}x.`)
  const body = (text: string) => JSON.stringify({ text, session: 'shared', user: 'shared' })
  const replies = await Promise.all(texts.map(async (text) => textOf(await post('/generate', body(text), {}))))
  const known = replies.map((reply) => JSON.parse(reply).reply.split('So far you told me this: ')[1])
  const { history } = JSON.parse(await textOf(await fetch(`${base}/sessions/shared?user=shared`)))
  expect(history.map(({ user }: { user: string }) => user).toSorted()).toEqual(texts)
  // Each turn knows exactly those before it, so that no two ran at the same time.
  const counts = known.map((text) => new Set(words(text)).size)
  expect(new Set(counts)).toEqual(new Set([0, 1, 2, 3, 4]))
})
