import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { DoctorReport, ErrorBody, GenerateReply, StackReport } from '@hearth/shared/api'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { portProblems } from '../scripts/ports.ts'
import { measure, notNumbers, recording, recordingPath, silence, transcriptOf } from './spoken.ts'
import { inCompose, isAlive, ROOT, startStack, untilTrue } from './stack.ts'
import type { Stack } from './stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack?.stop())

const form = (fields: Record<string, string | File>): FormData => {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  return data
}

async function generate(body: FormData | object): Promise<GenerateReply> {
  const isForm = body instanceof FormData
  const answer = await fetch(`${stack.url.orchestrator}/generate`, {
    method: 'POST',
    ...(isForm ? { body } : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  expect(answer.status, await answer.clone().text()).toBe(200)
  return GenerateReply.parse(await answer.json())
}

/** RFC 8187's `UTF-8''...`, the form of texts in headers. */
const decodeExtValue = (value: string | null): string => decodeURIComponent(value?.replace(/^UTF-8''/, '') ?? '')

const client = (service: 'stt' | 'tts' | 'embeddings') =>
  new OpenAI({ baseURL: `${stack.url[service]}/v1`, apiKey: 'none', maxRetries: 0, timeout: 30_000 })

describe('a stack', () => {
  test.skipIf(inCompose)('says in one table what runs, and that the models are demos', () => {
    const rows = stack.output().split('\n')
    for (const [service, model] of [
      ['stt', 'demo/whisper'],
      ['tts', 'demo/kokoro'],
      ['embeddings', 'demo/minilm'],
      ['orchestrator', 'demo/chat'],
    ] as const)
      expect(rows).toContainEqual(
        expect.stringMatching(
          new RegExp(`^${service} +${model} +demo +ready +[\\d.]+ MB( +[\\d.]+){5} +\\d+ MB > \\d+ MB$`),
        ),
      )
    expect(stack.output()).toContain(`Hearth listens at ${stack.url.orchestrator}.`)
  })

  test.skipIf(inCompose)('is examined by the doctor, who has the findings of every service', async () => {
    const env = { ...process.env, HEARTH_PORT: `${stack.ports.orchestrator}` }
    const { code, output } = await new Promise<{ code: unknown; output: string }>((done) => {
      const child = execFile('npm', ['run', '-s', 'doctor', '--', '--json'], { cwd: ROOT, env }, (_error, stdout) =>
        done({ code: child.exitCode, output: stdout }),
      )
    })
    const { findings } = DoctorReport.parse(JSON.parse(output))
    expect([...new Set(findings.map(({ service }) => service))]).toEqual(['orchestrator', 'stt', 'tts', 'embeddings'])
    // Demo models are warnings; nothing else may be wrong with a stack that has just started.
    expect(findings.filter(({ status }) => status === 'failed')).toEqual([])
    expect(findings.find(({ check }) => check === 'redis')).toMatchObject({ status: 'ok' })
    expect(code).toBe(1)
  })

  test('tells what every start took, once everything is warm', async () => {
    const read = async () => {
      const report = StackReport.parse(await (await fetch(`${stack.url.orchestrator}/ready?verbose`)).json())
      return [report, ...Object.values(report.services ?? {})]
    }
    const isWarm = (one: Awaited<ReturnType<typeof read>>[number]) =>
      one?.models[0]?.warming !== true && (one?.boots ?? []).length > 0
    await untilTrue(async () => (await read()).every(isWarm))
    const reports = await read()
    expect(reports).toHaveLength(4)
    for (const one of reports) {
      expect(one?.models[0]?.boot).toMatchObject({ downloadedBytes: 0, readyMs: expect.any(Number) })
      expect(one?.boots?.at(-1)).toMatchObject({ model: one?.models[0]?.id, readyMs: one?.models[0]?.boot?.readyMs })
    }
  })

  test('a spoken turn is answered with transcript, reply, sound and where the time went', async () => {
    const turn = await generate(form({ file: recording('016.wav') }))
    expect(wordErrorRate([[transcriptOf('016.wav'), turn.transcript]])).toBeLessThanOrEqual(0.25)
    expect(turn.reply).not.toBe('')
    expect(turn.degraded).toEqual([])
    expect(turn.models).toMatchObject({ stt: 'demo/whisper', embeddings: 'demo/minilm', tts: 'demo/kokoro' })
    expect(turn.timings['totalMs']).toBeGreaterThan(0)
    const sound = measure(Buffer.from(turn.audio?.base64 ?? '', 'base64'))
    expect(sound.seconds).toBeGreaterThan(0.3)
    expect(sound.level).toBeGreaterThan(0.005)
  })

  test('a second spoken turn of the session is answered with the sound itself', async () => {
    const first = await generate(form({ file: recording('016.wav') }))
    const answer = await fetch(`${stack.url.orchestrator}/generate`, {
      method: 'POST',
      headers: { accept: 'audio/wav' },
      body: form({ file: recording('011.wav'), session: first.session }),
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^audio\/wav/)
    expect(answer.headers.get('x-session')).toBe(first.session)
    expect(answer.headers.get('server-timing')).toMatch(/stt;dur=/)
    const transcript = decodeExtValue(answer.headers.get('x-transcript'))
    expect(wordErrorRate([[transcriptOf('011.wav'), transcript]])).toBeLessThanOrEqual(0.25)
    expect(decodeExtValue(answer.headers.get('x-reply'))).not.toBe('')
    const sound = measure(new Uint8Array(await answer.arrayBuffer()))
    expect(sound.seconds).toBeGreaterThan(0.3)
    expect(sound.level).toBeGreaterThan(0.005)
  })

  test('a fact told in one session is known in another', async () => {
    const told = await generate({ text: 'My name is Anna.' })
    const asked = await generate({ text: 'What is my name?' })
    expect(asked.session).not.toBe(told.session)
    expect(asked.reply).toContain('Anna')
  })

  test('a spoken fact is remembered too', async () => {
    await generate(form({ file: recording('009.wav') }))
    const asked = await generate({ text: 'What is my favourite number?' })
    expect(asked.reply.toLowerCase()).toContain('zero')
  })
})

describe("OpenAI's own client", () => {
  test('transcribes a file', async () => {
    const file = createReadStream(recordingPath('011.wav'))
    const { text } = await client('stt').audio.transcriptions.create({ file, model: 'whisper-1' })
    expect(wordErrorRate([[transcriptOf('011.wav'), text]])).toBeLessThanOrEqual(0.25)
  })

  test('speaks, and what it spoke is understood', async () => {
    const input = 'Open the window.'
    const spoken = await client('tts').audio.speech.create({
      model: 'tts-1',
      voice: 'alloy',
      input,
      response_format: 'wav',
    })
    const file = new File([new Uint8Array(await spoken.arrayBuffer())], 'spoken.wav')
    const { text } = await client('stt').audio.transcriptions.create({ file, model: 'whisper-1' })
    expect(wordErrorRate([[input, text]])).toBeLessThanOrEqual(0.34)
  })

  test('embeds, and equal words lie nearer than different ones', async () => {
    const input = ['the user likes green tea', 'green tea is what the user likes', 'the garden lamp is broken']
    const { data } = await client('embeddings').embeddings.create({ model: 'text-embedding-3-small', input })
    const [one = [], same = [], other = []] = data.map(({ embedding }) => embedding)
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
    expect(dot(one, one)).toBeCloseTo(1, 3)
    expect(dot(one, same)).toBeGreaterThan(dot(one, other))
  })
})

describe('bad input', () => {
  const json = (text: string) => ({ method: 'POST', body: text, headers: { 'content-type': 'application/json' } })
  const upload = (bytes: Uint8Array<ArrayBuffer>, fields: Record<string, string> = {}) => ({
    method: 'POST',
    body: form({ file: new File([bytes], 'speech.wav'), model: 'whisper-1', ...fields }),
  })
  const words = (text: string) => new TextEncoder().encode(text)
  const speech = (fields: object) =>
    json(JSON.stringify({ model: 'tts-1', voice: 'alloy', input: 'Hello.', ...fields }))
  const transcriptions = '/v1/audio/transcriptions'

  test.each([
    ['orchestrator', '/nowhere', {}, 404, 'not_found'],
    ['orchestrator', '/generate', {}, 405, 'method_not_allowed'],
    ['orchestrator', '/generate', json('{"text": "Hel'), 400, 'invalid_json'],
    ['orchestrator', '/generate', json('{"text": "Hello.", "volume": 11}'), 400, 'unknown_field'],
    ['orchestrator', '/generate', json(JSON.stringify({ text: 'x'.repeat(2 ** 20) })), 413, null],
    ['orchestrator', '/generate', { method: 'POST', body: form({ session: 'a' }) }, 400, 'missing_file'],
    ['orchestrator', '/generate', upload(words('')), 400, null],
    ['orchestrator', '/generate', upload(words('no sound at all')), 400, null],
    ['stt', '/v1/nowhere', {}, 404, 'not_found'],
    ['stt', transcriptions, { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['stt', transcriptions, { method: 'POST', body: form({ model: 'whisper-1' }) }, 400, 'missing_file'],
    ['stt', transcriptions, upload(words('')), 400, 'empty_audio'],
    ['stt', transcriptions, upload(words('no sound at all')), 400, 'undecodable_audio'],
    ['stt', transcriptions, upload(silence(0)), 400, 'audio_too_short'],
    ['stt', transcriptions, upload(notNumbers()), 400, 'invalid_samples'],
    ['stt', transcriptions, upload(silence(1), { model: 'no-such-model' }), 404, 'model_not_found'],
    ['tts', '/v1/audio/speech', json('nothing'), 400, 'invalid_json'],
    ['tts', '/v1/audio/speech', speech({ voice: 'nobody' }), 404, 'voice_not_found'],
    ['tts', '/v1/audio/speech', speech({ model: 'no-such-model' }), 404, 'model_not_found'],
    ['tts', '/v1/audio/speech', speech({ input: 'x'.repeat(2 ** 20) }), 413, null],
    ['embeddings', '/v1/embeddings', json('[1'), 400, 'invalid_json'],
    ['embeddings', '/v1/embeddings', json('{"model":"no-such-model","input":"a"}'), 404, 'model_not_found'],
  ] as const)(
    '%s %s case %#: %o is answered %i %s with the one error body',
    async (service, path, request, status, code) => {
      const answer = await fetch(stack.url[service] + path, request)
      const { error } = ErrorBody.parse(await answer.json())
      expect({ status: answer.status, code: error.code }).toEqual({ status, code: code ?? error.code })
    },
  )

  test('leaves the next good request unharmed', async () => {
    await expect(generate({ text: 'Hello.' })).resolves.toMatchObject({ degraded: [] })
  })
})

describe.skipIf(inCompose)('when parts end', () => {
  test('a service that is killed comes back by itself and serves', async () => {
    const [before = 0] = stack.pids('tts').slice(-1)
    process.kill(before, 'SIGKILL')
    await untilTrue(async () => stack.pids('tts').at(-1) !== before)
    await stack.untilReady('tts')
    expect(stack.output()).toMatch(/^tts +\| died \(SIGKILL\), starts again in 0\.5 s$/m)
    await expect(generate({ text: 'Hello.' })).resolves.toMatchObject({ degraded: [] })
  })

  test('SIGTERM ends everything: no process is left and every port is free', async () => {
    expect(stack.pids().length).toBeGreaterThanOrEqual(4)
    expect(await stack.stop()).toBe(0)
    expect(stack.pids().filter(isAlive)).toEqual([])
    expect(await portProblems(stack.ports)).toEqual([])
  })
})
