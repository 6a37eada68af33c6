/**
 * Speech engines at the real shapes with random weights, in turns in one process: Whisper by ours, with and without the fitted window, by
 * transformers.js's own pipeline and by whisper.cpp; Moonshine by ours and by transformers.js; and batches of four against one after the other. All in processor time.
 */
import { join } from 'node:path'
import { ggmlWhisper } from '@hearth/models/ggml-whisper'
import { randomMoonshine } from '@hearth/models/random-moonshine'
import { randomWhisper } from '@hearth/models/random-whisper'
import type { WHISPER_SHAPES } from '@hearth/models/random-whisper'
import { env, LogLevel, pipeline } from '@huggingface/transformers'
import type { EngineOptions } from '../services/stt/src/engine.ts'
import { createEngine } from '../services/stt/src/engine.ts'
import { median, round } from './figures.ts'
import type { Clip, Peer } from './peers/peer.ts'
import { whisperCpp } from './peers/whisper-cpp.ts'

/** Tokens of so much speech, at about three a second. */
const CLIPS: readonly Clip[] = [
  { seconds: 1, tokens: 4 },
  { seconds: 3, tokens: 10 },
  { seconds: 5, tokens: 17 },
  { seconds: 10, tokens: 34 },
  { seconds: 30, tokens: 100 },
]
const BATCH = 4
const FOLDER = join(import.meta.dirname, 'results/random-models')

type Size = keyof typeof WHISPER_SHAPES
type Options = {
  readonly rounds: number
  readonly threads: number
  /** The program whisper-cli. */
  readonly cpp: string | undefined
}

/** One row of the table for each clip length. */
export async function benchEngines(size: Size, { rounds, threads, cpp }: Options) {
  const dir = await randomWhisper(FOLDER, size, false)
  const peers = {
    whole: await ours(dir, threads),
    fitted: await ours(await randomWhisper(FOLDER, size, true), threads),
    theirs: await transformers(dir, threads),
    moonshine: await ours(await randomMoonshine(FOLDER, size), threads),
    theirMoonshine: await transformers(await randomMoonshine(FOLDER, size), threads),
    ...(cpp !== undefined && { cpp: whisperCpp({ program: cpp, model: await ggmlWhisper(FOLDER, size), threads }) }),
  }
  const rows = []
  for (const clip of CLIPS) {
    const row = await compare(size, clip, peers, rounds)
    console.log(row) // a run that is broken off leaves something
    rows.push(row)
  }
  for (const { close } of Object.values(peers)) await close()
  return rows
}

async function ours(dir: string, threads: number): Promise<Peer> {
  const options: EngineOptions = { dir, dtype: 'fp32', threads, maxBatchSize: BATCH, fitWindow: 'auto' }
  const engine = createEngine(options)
  await engine.load()
  const { signal } = new AbortController()
  return {
    run: ({ tokens }, samples, rows) => {
      const input = { samples, language: 'en', exactTokens: tokens }
      const batch = Array.from({ length: rows }, () => input)
      return timed(() => engine.run(batch, { signal, emit: () => undefined }))
    },
    close: () => engine.close(),
  }
}

async function transformers(dir: string, threads: number): Promise<Peer> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE
  const session_options = { intraOpNumThreads: threads, interOpNumThreads: 1 }
  const recognise = await pipeline('automatic-speech-recognition', dir, { dtype: 'fp32', session_options })
  const language = dir.includes('moonshine') ? {} : { language: 'en', task: 'transcribe' }
  return {
    run: ({ tokens }, samples, rows) =>
      timed(async () => {
        for (let row = 0; row < rows; row++)
          await recognise(samples, { ...language, max_new_tokens: tokens, min_new_tokens: tokens })
      }),
    close: async () => {
      await recognise.dispose()
    },
  }
}

/** Processor time, and not the clock's: on a machine that others use, only that tells two peers apart. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

type Peers = Record<'whole' | 'fitted' | 'theirs' | 'moonshine' | 'theirMoonshine', Peer> & { readonly cpp?: Peer }

async function compare(size: Size, clip: Clip, peers: Peers, rounds: number) {
  const samples = Float32Array.from({ length: clip.seconds * 16_000 }, (_, n) => 0.1 * Math.sin(n * n * 0.37))
  const { whole, fitted, theirs, moonshine, theirMoonshine, cpp } = peers
  const run =
    (peer: Peer | undefined, rows = 1) =>
    async () =>
      (await peer?.run(clip, samples, rows)) ?? Number.NaN
  // A whole window costs the same for each clip; four of the base shape take long.
  const isBatched = size === 'tiny' || clip.seconds === 3
  const ms = await inTurns(
    {
      theirs: run(theirs),
      whole: run(whole),
      fitted: run(fitted),
      wholeBatch: run(isBatched ? whole : undefined, BATCH),
      fittedBatch: run(isBatched || clip.seconds < 10 ? fitted : undefined, BATCH),
      cpp: run(cpp),
      moonshine: run(moonshine),
      theirMoonshine: run(theirMoonshine),
      moonshineBatch: run(moonshine, BATCH),
    },
    rounds,
  )
  return {
    model: size,
    seconds: clip.seconds,
    'transformers.js ms': round(ms.theirs),
    'whisper.cpp ms': round(ms.cpp),
    'ours, 30 s window ms': round(ms.whole),
    'ours, fitted ms': round(ms.fitted),
    'faster than transformers.js, 30 s': round(ms.theirs / ms.whole, 2),
    fitted: round(ms.theirs / ms.fitted, 2),
    'faster than whisper.cpp, 30 s': round(ms.cpp / ms.whole, 2),
    'batch of 4, 30 s': round((BATCH * ms.whole) / ms.wholeBatch, 2),
    'batch of 4, fitted': round((BATCH * ms.fitted) / ms.fittedBatch, 2),
    'Moonshine, transformers.js ms': round(ms.theirMoonshine),
    'Moonshine, ours ms': round(ms.moonshine),
    'Moonshine faster than transformers.js': round(ms.theirMoonshine / ms.moonshine, 2),
    'Moonshine faster than Whisper, fitted': round(ms.fitted / ms.moonshine, 2),
    'Moonshine, batch of 4': round((BATCH * ms.moonshine) / ms.moonshineBatch, 2),
  }
}

/** Medians of each, taken in turns so that a busy moment hits all alike. The first round only warms. */
async function inTurns<Name extends string>(runs: Record<Name, () => Promise<number>>, rounds: number) {
  const names = Object.keys(runs) as Name[]
  const spent = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let at = 0; at <= rounds; at++)
    for (const name of names) {
      const ms = await runs[name]()
      if (at > 0) spent.get(name)?.push(ms)
    }
  return Object.fromEntries(names.map((name) => [name, median(spent.get(name) ?? [])])) as Record<Name, number>
}
