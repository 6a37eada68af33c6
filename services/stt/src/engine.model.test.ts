import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import type { Engine } from '@hearth/shared/engine'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { sameWords, wordErrorRate } from '@hearth/shared/word-error-rate'
import { decodeWav } from '@hearth/shared/wav'
import { InferenceSession } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createEngine } from './engine.ts'
import type { EngineOptions } from './engine.ts'
import { seededRandom } from './logits.ts'
import type { SpeechInput, Transcript } from './speech.ts'

const models = join(import.meta.dirname, '../../../models')

type Recording = {
  readonly language: string
  readonly text: string
  readonly isSentence: boolean
  readonly samples: Float32Array
}

const [, ...lines] = readFileSync(join(models, 'speech/transcripts.tsv'), 'utf8').trim().split('\n')
const recordings = lines.map((line): Recording => {
  const [file = '', language = '', text = '', , , kind = ''] = line.split('\t')
  const { samples } = decodeWav(readFileSync(join(models, 'speech', file)))
  return { language, text, isSentence: kind === 'sentence', samples }
})

const options = (change: Partial<EngineOptions> = {}): EngineOptions => ({
  dir: join(models, 'demo/whisper'),
  dtype: 'fp32',
  threads: 2,
  maxBatchSize: 4,
  fitWindow: 'auto',
  ...change,
})

/** What must not depend on company: the words and their tokens, and the language. */
const saying = (transcript: Transcript | undefined) => ({
  text: transcript?.text,
  language: transcript?.language,
  segments: transcript?.segments,
  temperature: transcript?.temperature,
})

type Whisper = Engine<SpeechInput, Transcript>
const run = (engine: Whisper, batch: readonly SpeechInput[], signal = never) =>
  engine.run(batch, { signal, emit: () => undefined })

/** Everything in order, `size` rows at a time. */
async function transcribeAll(engine: Whisper, inputs: readonly SpeechInput[], size: number): Promise<Transcript[]> {
  const found: Transcript[] = []
  for (let at = 0; at < inputs.length; at += size) found.push(...(await run(engine, inputs.slice(at, at + size))))
  return found
}

async function withEngine<T>(change: Partial<EngineOptions>, work: (engine: Whisper) => Promise<T>): Promise<T> {
  const engine = createEngine(options(change))
  await engine.load()
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

describe('the Whisper engine is an engine: it', () => {
  engineSuite({
    create: () => createEngine(options()),
    inputs: recordings.slice(0, 8).map(({ samples, language }) => ({ samples, language })),
    same: (a, b) => a.text === b.text && a.language === b.language,
  })
})

describe('Whisper on held-out recordings', () => {
  let engine: Whisper
  beforeAll(async () => {
    engine = createEngine(options())
    await engine.load()
  })
  afterAll(() => engine.close())

  const told = recordings.map(({ samples, language }): SpeechInput => ({ samples, language }))
  const untold = recordings.map(({ samples }): SpeechInput => ({ samples, language: null }))
  const judge = (heard: readonly Transcript[]) => {
    const pairs = recordings.map(({ text, isSentence }, at) => ({
      pair: [text, heard[at]?.text ?? ''] as const,
      isSentence,
    }))
    const short = pairs.filter(({ isSentence }) => !isSentence)
    return {
      errorRate: wordErrorRate(pairs.filter(({ isSentence }) => isSentence).map(({ pair }) => pair)),
      shortRight: short.filter(({ pair: [said, got] }) => sameWords(said, got)).length,
    }
  }

  test('makes no more word errors than the model does outside Hearth', async () => {
    const { errorRate, shortRight } = judge(await transcribeAll(engine, told, 1))
    expect(errorRate).toBeLessThanOrEqual(0.056)
    expect(shortRight).toBeGreaterThanOrEqual(5)
  })

  test('hears the same in batches of four as alone, row by row', async () => {
    const alone = await transcribeAll(engine, told, 1)
    const batched = await transcribeAll(engine, told, 4)
    expect(batched.map(({ text }) => text)).toEqual(alone.map(({ text }) => text))
  })

  test('hears the same token for token in any company: other lengths, languages, tasks, prompts and timestamps', async () => {
    const variants: Partial<SpeechInput>[] = [
      {},
      { language: null },
      { timestamps: 'segments' },
      { timestamps: 'words' },
      { prompt: 'Please call Anna.' },
      { task: 'translate' },
      { hotwords: 'kitchen, garden', prompt: 'The lights.' },
    ]
    const inputs = told.map((input, at): SpeechInput => ({ ...input, ...variants[at % variants.length] }))
    const alone = await transcribeAll(engine, inputs, 1)
    const random = seededRandom(5)
    for (let round = 0; round < 4; round++) {
      const order = inputs.map((_, at) => ({ at, key: random() })).toSorted((a, b) => a.key - b.key)
      for (let from = 0, size = 1; from < order.length; from += size) {
        size = 1 + Math.floor(random() * 4)
        const picked = order.slice(from, from + size).map(({ at }) => at)
        const heard = await run(
          engine,
          picked.flatMap((at) => inputs[at] ?? []),
        )
        expect(heard.map(saying)).toEqual(picked.map((at) => saying(alone[at])))
      }
    }
  })

  test('tells when each word was said, in order and within the clip', async () => {
    const timed = await transcribeAll(
      engine,
      told.map((input): SpeechInput => ({ ...input, timestamps: 'words' })),
      4,
    )
    for (const [at, { text, words, segments }] of timed.entries()) {
      const seconds = (recordings[at]?.samples.length ?? 0) / 16_000
      expect(
        words
          .map((word) => word.text)
          .join('')
          .trim(),
      ).toBe(text)
      const times = words.flatMap(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      expect(times.at(-1)).toBeLessThanOrEqual(seconds)
      expect(
        segments
          .map((segment) => segment.text)
          .join('')
          .trim(),
      ).toBe(text)
    }
    // "Is the kitchen light on?": where a person hears the words begin.
    const begins = timed[7]?.words.map(({ startSeconds }) => startSeconds) ?? []
    for (const [at, expected] of [0.02, 0.16, 0.3, 0.85, 1.05].entries())
      expect(Math.abs((begins[at] ?? 9) - expected), `word ${at}`).toBeLessThan(0.15)
  })

  test('ends each row at its own end: a short row beside a long one keeps its words', async () => {
    const long = recordings[11]
    const short = recordings[22]
    if (!long || !short) throw new Error('expected 26 recordings')
    const [first, second] = await run(
      engine,
      [short, long].map(({ samples }) => ({ samples, language: 'en' })),
    )
    expect([first?.text, second?.text]).toEqual([
      (await run(engine, [{ samples: short.samples, language: 'en' }]))[0]?.text,
      (await run(engine, [{ samples: long.samples, language: 'en' }]))[0]?.text,
    ])
    expect(first?.text.length).toBeLessThan(second?.text.length ?? 0)
  })

  test('finds the language of at least 24 of 26, alone and in batches that mix languages', async () => {
    for (const size of [1, 4]) {
      const found = await transcribeAll(engine, untold, size)
      const right = found.filter(({ language }, at) => language === recordings[at]?.language).length
      expect(right).toBeGreaterThanOrEqual(24)
      expect(found.every(({ languageProbability }) => (languageProbability ?? 0) > 0.25)).toBe(true)
    }
  })

  test('takes given and unknown languages in one batch', async () => {
    const german = recordings[4]
    if (!german) throw new Error('expected 26 recordings')
    const { samples } = german
    const [given, detected] = await run(engine, [
      { samples, language: 'de' },
      { samples, language: null },
    ])
    expect(given).toMatchObject({ language: 'de', languageProbability: null })
    expect(detected?.language).toBe('de')
    expect(detected?.text).toBe(given?.text)
  })

  test('says nothing for silence and for noise', async () => {
    const sounds = [0, 0.001, 0.02].map((level) =>
      Float32Array.from({ length: 32_000 }, (_, n) => level * Math.sin(n * n * 0.73)),
    )
    const heard = await run(
      engine,
      sounds.map((samples) => ({ samples, language: 'en' })),
    )
    expect(heard.map(({ text }) => text)).toEqual(['', '', ''])
  })

  test('takes the shortest and the longest clip there may be', async () => {
    for (const length of [1, 1600, 480_000])
      expect(await run(engine, [{ samples: new Float32Array(length), language: 'en' }])).toHaveLength(1)
    await expect(run(engine, [{ samples: new Float32Array(480_001), language: 'en' }])).rejects.toThrow('480000')
  })

  test('stops between two steps when nobody waits any more', async () => {
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(run(engine, told.slice(0, 1), gone)).rejects.toThrow('gone')
  })

  test('stops between two rows of a batch, before the second goes through the encoder', async () => {
    using create = vi.spyOn(InferenceSession, 'create')
    await withEngine({}, async (other) => {
      const sessions = await Promise.all(create.mock.results.map(({ value }) => value as Promise<InferenceSession>))
      const encoders = sessions.filter(({ inputNames }) => inputNames.includes('input_features'))
      const runs = encoders.map((encoder) => vi.spyOn(encoder, 'run'))
      const gone = AbortSignal.abort(new Error('gone'))
      await expect(run(other, [...told.slice(0, 1), ...told.slice(0, 1)], gone)).rejects.toThrow('gone')
      expect(runs.flatMap(({ mock }) => mock.calls)).toHaveLength(1)
    })
  })

  test('hears as well in full windows of 30 s, and in eight bits', async () => {
    for (const change of [{ fitWindow: 'off' }, { dtype: 'q8' }] as const) {
      const { errorRate, shortRight } = judge(await withEngine(change, (other) => transcribeAll(other, told, 4)))
      expect(errorRate).toBeLessThanOrEqual(0.09)
      expect(shortRight).toBeGreaterThanOrEqual(4)
    }
  })
})
