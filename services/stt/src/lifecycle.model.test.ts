/** The service as people start it, while its model makes room for one of another family, and comes back. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomMoonshine } from '@hearth/models/random-moonshine'
import { snapshotFolder, writeRef } from '@hearth/shared/hub-cache'
import { startProcess } from '@hearth/shared/testing/service-process'
import type { ServiceProcess } from '@hearth/shared/testing/service-process'
import { decodeWav } from '@hearth/shared/wav'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'

const ROOT = join(import.meta.dirname, '../../..')
const SAID = 'Please wake me up at ten forty five in the morning.'
/** What random weights say. */
const NOTHING_KNOWN = /^ ?w\d+/
/** A prompt sways the small model, but not out of its words. */
const WORDS_KNOWN = /^ [A-Z][a-z]+ /
const [WHISPER, MOONSHINE] = ['org/whisper', 'org/moonshine']

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hearth-stt-lifecycle-'))
  await keep(WHISPER, join(ROOT, 'models/demo/whisper'))
  await keep(MOONSHINE, await randomMoonshine(home, 'small'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

/** Into the cache, as if it had been fetched. */
async function keep(id: string, from: string): Promise<void> {
  const [cacheDir, commit] = [join(home, 'hub'), 'c0ffee'.repeat(7).slice(0, 40)]
  const dir = snapshotFolder(cacheDir, id, commit)
  await mkdir(dir, { recursive: true })
  await cp(from, dir, { recursive: true })
  await writeRef(cacheDir, id, 'main', commit)
}

const start = () =>
  startProcess(join(import.meta.dirname, 'main.ts'), {
    STT_PORT: '0',
    STT_MODEL: WHISPER,
    STT_MODELS: MOONSHINE,
    STT_THREADS: '1',
    STT_CACHE_SECONDS: '0',
    HF_HUB_OFFLINE: '1',
    HF_HOME: home,
    HEARTH_HOME: home,
  })

const recording = () => readFile(join(ROOT, 'models/speech/012.wav'))

async function form(more: Record<string, string> = {}): Promise<RequestInit> {
  const body = new FormData()
  body.set('file', new Blob([await recording()]), 'a.wav')
  for (const [name, value] of Object.entries(more)) body.set(name, value)
  return { method: 'POST', body }
}

/** Asks again and again until it is told to stop; gives what was answered. */
function fire({ call }: ServiceProcess) {
  const firing = { isOn: true }
  const answers: { status: number; text: unknown }[] = []
  const ended = (async () => {
    while (firing.isOn) {
      const { status, body } = await call('/v1/audio/transcriptions', await form())
      answers.push({ status, text: body.text ?? body })
    }
  })()
  return { answers, stop: () => ((firing.isOn = false), ended) }
}

type Told = { status?: string; message?: unknown; segments?: { text: string; completed: boolean; words?: unknown }[] }

/** A live client that speaks once whenever it is asked to, and waits for all of it to be heard. */
async function speaker({ base }: ServiceProcess, greeting: object) {
  const socket = new WebSocket(base.replace('http', 'ws'))
  onTestFinished(() => socket.terminate())
  const told: Told[] = []
  let look = () => {}
  socket.on('message', (data: Buffer) => {
    told.push(JSON.parse(data.toString('utf8')) as Told)
    look()
  })
  const until = (isIt: (one: Told) => boolean): Promise<Told> =>
    new Promise((done) => {
      look = () => {
        const found = told.find(isIt)
        if (found) done(found)
      }
      look()
    })
  await new Promise((open) => socket.once('open', open))
  socket.send(JSON.stringify({ uid: 'one', ...greeting }))
  await until(({ message }) => message === 'SERVER_READY')
  const { samples } = decodeWav(new Uint8Array(await recording()))
  const sound = new Float32Array(samples.length + 32_000)
  sound.set(samples)
  return {
    warnings: () => told.filter(({ status }) => status === 'WARNING').map(({ message }) => message),
    closed: () => socket.readyState !== WebSocket.OPEN,
    say: async () => {
      const before = told.length
      socket.send(Buffer.from(sound.buffer))
      const { segments = [] } = await until(
        (one) => told.indexOf(one) >= before && one.segments?.at(-1)?.completed === true,
      )
      return segments.at(-1)
    },
  }
}

test('a process that leaves at once while its threads make sessions has its code, and aborts nothing', async () => {
  const leaver = fork(join(import.meta.dirname, 'testing/session-leaver.ts'), [join(ROOT, 'models/demo/whisper/onnx')])
  onTestFinished(() => void leaver.kill('SIGKILL'))
  expect(await once(leaver, 'exit')).toEqual([5, null])
}, 60_000)

describe('a model of another family', () => {
  test('takes the place under fire and gives it back; live clients are told what it can not do', async () => {
    const service = await start()
    const { call, inState } = service
    await inState('ready')
    const client = await speaker(service, { language: 'en', initial_prompt: 'Anna', word_timestamps: true })
    expect(await client.say()).toMatchObject({ text: expect.stringMatching(WORDS_KNOWN) })
    expect(client.warnings()).toEqual([])
    const clients = [fire(service), fire(service), fire(service)]

    expect((await call(`/api/ps/${MOONSHINE}`, { method: 'POST' })).status).toBe(200)
    expect(await client.say()).toMatchObject({ text: expect.stringMatching(NOTHING_KNOWN) })
    expect(client.warnings()).toEqual([
      'word times are not available with this model',
      'this model can not be prompted',
    ])
    const words = { response_format: 'verbose_json', 'timestamp_granularities[]': 'word' }
    for (const [wish, param] of [
      [words, 'timestamp_granularities'],
      [{ prompt: 'Anna' }, 'prompt'],
      [{ language: 'de' }, 'language'],
    ] as const)
      expect(await call('/v1/audio/transcriptions', await form(wish))).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid_request', param } },
      })

    expect((await call(`/api/ps/${WHISPER}`, { method: 'POST' })).status).toBe(200)
    expect(await client.say()).toMatchObject({
      text: expect.stringMatching(WORDS_KNOWN),
      words: expect.any(Array),
    })
    expect(await call('/v1/audio/transcriptions', await form(words))).toMatchObject({
      status: 200,
      body: { text: SAID },
    })
    for (const one of clients) await one.stop()
    const answers = clients.flatMap((one) => one.answers)
    expect(answers.filter(({ text }) => text !== SAID && !NOTHING_KNOWN.test(String(text)))).toEqual([])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(client.closed()).toBe(false)
    expect((await call('/api/ps')).body.models).toMatchObject([{ name: WHISPER, details: { family: 'whisper' } }])
  }, 120_000)
})
