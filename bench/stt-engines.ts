/**
 * Whisper at the real shapes with random weights: ours, with and without the fitted window, against transformers.js's own pipeline, in turns
 * in one process; and a batch of four against one after the other.
 */
import { join } from 'node:path'
import { randomWhisper } from '@hearth/models/random-whisper'
import type { WHISPER_SHAPES } from '@hearth/models/random-whisper'
import { env, LogLevel, pipeline } from '@huggingface/transformers'
import type { EngineOptions } from '../services/stt/src/engine.ts'
import { createEngine } from '../services/stt/src/engine.ts'
import { median, round } from './figures.ts'

/** Tokens of so much speech, at about three a second. */
const CLIPS = [
  { seconds: 1, tokens: 4 },
  { seconds: 3, tokens: 10 },
  { seconds: 5, tokens: 17 },
  { seconds: 10, tokens: 34 },
  { seconds: 30, tokens: 100 },
]
const BATCH = 4
const FOLDER = join(import.meta.dirname, 'results/random-models')

type Size = keyof typeof WHISPER_SHAPES
type Clip = (typeof CLIPS)[number]
type Run = (clip: Clip, samples: Float32Array, rows: number) => Promise<unknown>

/** One row of the table for each clip length. */
export async function benchEngines(size: Size, { rounds, threads }: { rounds: number; threads: number }) {
  const whole = await ours(await randomWhisper(FOLDER, size, false), threads)
  const fitted = await ours(await randomWhisper(FOLDER, size, true), threads)
  const theirs = await transformers(await randomWhisper(FOLDER, size, false), threads)
  const rows = []
  for (const clip of CLIPS) rows.push(await compare(size, clip, { whole, fitted, theirs }, rounds))
  for (const { close } of [whole, fitted, theirs]) await close()
  return rows
}

type Peer = { readonly run: Run; readonly close: () => Promise<void> }

async function ours(dir: string, threads: number): Promise<Peer> {
  const options: EngineOptions = { dir, dtype: 'fp32', threads, maxBatchSize: BATCH, fitWindow: 'auto' }
  const engine = createEngine(options)
  await engine.load()
  const { signal } = new AbortController()
  return {
    run: ({ tokens }, samples, rows) => {
      const input = { samples, language: 'en', exactTokens: tokens }
      return engine.run(
        Array.from({ length: rows }, () => input),
        { signal, emit: () => undefined },
      )
    },
    close: () => engine.close(),
  }
}

async function transformers(dir: string, threads: number): Promise<Peer> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE
  const session_options = { intraOpNumThreads: threads, interOpNumThreads: 1 }
  const recognise = await pipeline('automatic-speech-recognition', dir, { dtype: 'fp32', session_options })
  return {
    run: async ({ tokens }, samples, rows) => {
      for (let row = 0; row < rows; row++)
        await recognise(samples, { language: 'en', task: 'transcribe', max_new_tokens: tokens, min_new_tokens: tokens })
    },
    close: async () => {
      await recognise.dispose()
    },
  }
}

type Peers = Record<'whole' | 'fitted' | 'theirs', Peer>

async function compare(size: Size, clip: Clip, { whole, fitted, theirs }: Peers, rounds: number) {
  const samples = Float32Array.from({ length: clip.seconds * 16_000 }, (_, n) => 0.1 * Math.sin(n * n * 0.37))
  const runs = {
    theirs: () => theirs.run(clip, samples, 1),
    whole: () => whole.run(clip, samples, 1),
    fitted: () => fitted.run(clip, samples, 1),
    wholeBatch: () => whole.run(clip, samples, BATCH),
    fittedBatch: () => fitted.run(clip, samples, BATCH),
  }
  const ms = await inTurns(runs, rounds)
  return {
    model: size,
    seconds: clip.seconds,
    'transformers.js ms': round(ms.theirs),
    'ours, 30 s window ms': round(ms.whole),
    'ours, fitted ms': round(ms.fitted),
    'faster, 30 s': round(ms.theirs / ms.whole, 2),
    'faster, fitted': round(ms.theirs / ms.fitted, 2),
    'batch of 4, 30 s': round((BATCH * ms.whole) / ms.wholeBatch, 2),
    'batch of 4, fitted': round((BATCH * ms.fitted) / ms.fittedBatch, 2),
  }
}

/** Medians of each, taken in turns so that a busy moment hits all alike. The first round only warms. */
async function inTurns<Name extends string>(runs: Record<Name, () => Promise<unknown>>, rounds: number) {
  const names = Object.keys(runs) as Name[]
  const spent = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let at = 0; at <= rounds; at++)
    for (const name of names) {
      const start = performance.now()
      await runs[name]()
      if (at > 0) spent.get(name)?.push(performance.now() - start)
    }
  return Object.fromEntries(names.map((name) => [name, median(spent.get(name) ?? [])])) as Record<Name, number>
}
