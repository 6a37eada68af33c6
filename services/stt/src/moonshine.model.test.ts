import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomMoonshine } from '@hearth/models/random-moonshine'
import type { Engine } from '@hearth/shared/engine'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { encodeWav } from '@hearth/shared/wav'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from './engine.ts'
import { seededRandom } from './logits.ts'
import { loadMoonshine } from './moonshine-model.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import { startSttService } from './testing/stt-service.ts'
import type { RunningService } from './testing/stt-service.ts'

/** Random weights in the real structure: what it says is nothing, yet each sound has words of its own. */
const folder = await mkdtemp(join(tmpdir(), 'hearth-moonshine-'))
const dir = await randomMoonshine(folder, 'small')
afterAll(() => rm(folder, { recursive: true }))

const RATE_HZ = 16_000
const noise = (seconds: number, seed: number): Float32Array<ArrayBuffer> => {
  const random = seededRandom(seed)
  return Float32Array.from({ length: Math.round(seconds * RATE_HZ) }, () => 0.4 * random() - 0.2)
}
const input = (seconds: number, seed: number): SpeechInput => ({ samples: noise(seconds, seed), language: 'en' })

const create = (from = dir) =>
  createEngine({ dir: from, dtype: 'fp32', threads: 1, maxBatchSize: 4, fitWindow: 'auto' })

const run = (engine: Engine<SpeechInput, Transcript>, batch: readonly SpeechInput[], signal = never) =>
  engine.run(batch, { signal, emit: () => undefined })

async function withEngine(from: string, work: (engine: Engine<SpeechInput, Transcript>) => Promise<void>) {
  const engine = create(from)
  await engine.load()
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

describe('the Moonshine engine is an engine: it', () => {
  engineSuite({
    create: () => create(),
    inputs: [2, 1.5, 2, 2, 1, 2, 1.5].map((seconds, at) => input(seconds, at)),
    same: (a, b) => a.text === b.text,
    emptyInputs: [{ samples: new Float32Array(1), language: null }],
  })
})

describe('Moonshine', () => {
  let engine: Engine<SpeechInput, Transcript>
  beforeAll(async () => {
    engine = create()
    await engine.load()
  })
  afterAll(() => engine.close())

  test('hears the same token for token in any company: equal lengths, other lengths, temperatures', async () => {
    const random = seededRandom(7)
    const inputs = Array.from({ length: 14 }, (_, at): SpeechInput => ({
      ...input([1, 2.5, 4][at % 3] ?? 1, at),
      ...(at % 5 === 4 && { temperature: 0.5 }),
    }))
    const alone: Transcript[] = []
    for (const each of inputs) alone.push(...(await run(engine, [each])))
    expect(new Set(alone.map(({ text }) => text)).size).toBeGreaterThan(10)
    for (let round = 0; round < 4; round++) {
      const order = inputs.map((_, at) => ({ at, key: random() })).toSorted((a, b) => a.key - b.key)
      for (let from = 0; from < order.length; from += 4) {
        const picked = order.slice(from, from + 4).map(({ at }) => at)
        const heard = await run(
          engine,
          picked.flatMap((at) => inputs[at] ?? []),
        )
        const saying = (all: readonly (Transcript | undefined)[]) =>
          all.map((each) => [each?.segments, each?.text, each?.temperature])
        expect(saying(heard)).toEqual(saying(picked.map((at) => alone[at])))
      }
    }
  })

  test('writes one segment over all of the clip, in English, and knows no more', async () => {
    const [heard] = await run(engine, [{ ...input(2, 1), timestamps: 'segments' }])
    expect(heard?.text).toMatch(/^w\d+/)
    expect(heard).toMatchObject({ language: 'en', languageProbability: null, words: [], noSpeechProbability: 0 })
    expect(heard?.segments).toMatchObject([{ startSeconds: 0, endSeconds: 2, text: heard?.text }])
  })

  test('writes at most 6.5 tokens a second, and no more than the decoder has places for', async () => {
    const most = async (ears: typeof engine, seconds: number) => {
      const batch = [1, 2, 3, 4].map((seed) => ({ ...input(seconds, seed), temperature: 0.6 }))
      return Math.max(...(await run(ears, batch)).map(({ tokens }) => tokens))
    }
    expect(await most(engine, 0.1)).toBe(1)
    expect(await most(engine, 1)).toBe(7)
    const narrow = join(folder, 'narrow')
    await cp(dir, narrow, { recursive: true })
    const config: object = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))
    await writeFile(join(narrow, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 5 }))
    await withEngine(narrow, async (ears) => expect(await most(ears, 1)).toBe(4))
  })

  test('goes on for as many tokens as it is told to', async () => {
    const [heard] = await run(engine, [{ ...input(1, 2), exactTokens: 30 }])
    expect(heard?.tokens).toBe(30)
  })

  test('stops between two steps when nobody waits any more', async () => {
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(run(engine, [input(1, 1)], gone)).rejects.toThrow('gone')
  })

  test('hears the same through an export that asks for a mask', async () => {
    const batch = [input(3, 1), input(2, 2), input(3, 3), input(3, 4)]
    const wanted = await run(engine, batch)
    await withEngine(await randomMoonshine(folder, 'small', true), async (masked) => {
      const found = await run(masked, batch)
      expect(found.map(({ segments }) => segments)).toEqual(wanted.map(({ segments }) => segments))
    })
  })

  test('writes with the cache what it writes without it', async () => {
    const model = await loadMoonshine({ dir, dtype: 'fp32', threads: 1 })
    try {
      const sound = await model.encode(noise(2, 3), 1, 2 * RATE_HZ)
      const whole = await model.step(sound, [[1, 9, 8, 7]], null)
      let step = await model.step(sound, [[1]], null)
      for (const token of [9, 8, 7]) step = await model.step(sound, [[token]], step)
      const last = whole.logits.subarray(-step.vocabulary)
      expect(Math.max(...step.logits.map((each, at) => Math.abs(each - (last[at] ?? NaN))))).toBeLessThan(1e-4)
    } finally {
      await model.close()
    }
  })
})

test('a family that is not known is named before anything is loaded', async () => {
  const other = await mkdtemp(join(folder, 'other-'))
  await writeFile(join(other, 'config.json'), JSON.stringify({ model_type: 'moonshine_streaming' }))
  await expect(create(other).load()).rejects.toThrow('expected model_type whisper or moonshine')
})

describe('the service with Moonshine', () => {
  let service: RunningService
  let client: OpenAI
  beforeAll(async () => {
    service = await startSttService({ id: 'onnx-community/moonshine-tiny-ONNX', dir })
    client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(() => service.close())

  const recording = (name = '012') => readFile(join(import.meta.dirname, `../../../models/speech/${name}.wav`))
  const spoken = async (name?: string) => toFile(await recording(name), 'a.wav')
  const model = 'whisper-1'

  test('answers in every format', async () => {
    const { transcriptions } = client.audio
    const { text } = await transcriptions.create({ file: await spoken(), model })
    expect(text).toMatch(/^w\d+ /)
    const formatted = async (format: 'text' | 'srt' | 'vtt') =>
      transcriptions.create({ file: await spoken(), model, response_format: format })
    expect(await formatted('text')).toBe(text)
    expect(await formatted('srt')).toMatch(/^1\n00:00:00,\d{3} --> 00:00:0\d,\d{3}\nw\d+ /)
    expect(await formatted('vtt')).toMatch(/^WEBVTT\n\n00:00:00\.\d{3} --> /)
    const verbose = await transcriptions.create({
      file: await spoken(),
      model: 'onnx-community/moonshine-tiny-ONNX',
      language: 'en',
      response_format: 'verbose_json',
    })
    expect(verbose).toMatchObject({ task: 'transcribe', language: 'english', duration: 3.4, text })
    expect(verbose.segments).toHaveLength(1)
    const stream = await transcriptions.create({ file: await spoken(), model, stream: true })
    let deltas = ''
    for await (const event of stream) if (event.type === 'transcript.text.delta') deltas += event.delta
    expect(deltas).toBe(text)
  })

  test('says what this model can not do', async () => {
    const refused = (param: string) => ({ status: 400, code: 'invalid_request', param })
    const { transcriptions, translations } = client.audio
    const file = await spoken()
    await expect(
      transcriptions.create({ file, model, response_format: 'verbose_json', timestamp_granularities: ['word'] }),
    ).rejects.toMatchObject(refused('timestamp_granularities'))
    await expect(transcriptions.create({ file, model, prompt: 'Anna' })).rejects.toMatchObject(refused('prompt'))
    await expect(transcriptions.create({ file, model, language: 'de' })).rejects.toMatchObject(refused('language'))
    await expect(translations.create({ file, model })).rejects.toMatchObject(refused('model'))
  })

  test('hears equal lengths in one batch, and each says what it says alone', async () => {
    const samples = [1, 2, 3, 4, 5, 6].map((seed) => noise(seed % 2 === 0 ? 2 : 2.5, seed))
    const hear = async (sound: Float32Array<ArrayBuffer>) => {
      const body = new FormData()
      body.set('file', new Blob([encodeWav({ samples: sound, sampleRateHz: RATE_HZ })]), 'a.wav')
      body.set('vad_filter', 'false')
      const response = await fetch(`${service.url}/v1/audio/transcriptions`, { method: 'POST', body })
      const { text } = (await response.json()) as { text: string }
      return { text, batchSize: Number(response.headers.get('x-batch-size')) }
    }
    const together = await Promise.all(samples.map(hear))
    const alone: Awaited<ReturnType<typeof hear>>[] = []
    for (const sound of samples) alone.push(await hear(sound))
    expect(together.map(({ text }) => text)).toEqual(alone.map(({ text }) => text))
    expect(Math.max(...together.map(({ batchSize }) => batchSize))).toBeGreaterThan(1)
  })
})
