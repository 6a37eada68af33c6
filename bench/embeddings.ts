/**
 * The embeddings service's path (tokenizer, batcher, engine thread; without HTTP) beside transformers.js's feature-extraction pipeline, on one
 * model of MiniLM-L6's shape with random weights, taking turns. Chroma's default embedding function (@chroma-core/default-embed 0.1.9) is that
 * pipeline, mean and normalised, the whole list as one batch, and is made anew for each call; what is measured is the pipeline alone. The bound of a lone text is a bare session run; of
 * many, all their tokens without padding at the speed of the best batch.
 *
 *   npm run bench -- embeddings [--rounds 7] [--model-dir <folder>]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Batcher } from '@hearth/shared/batcher'
import { EngineThread } from '@hearth/shared/engine-thread'
import { env, pipeline } from '@huggingface/transformers'
import { createEngine } from '../services/embeddings/src/engine.ts'
import { embed } from '../services/embeddings/src/embed.ts'
import { paddedTokens } from '../services/embeddings/src/padding.ts'
import { tokenizeTexts } from '../services/embeddings/src/texts.ts'
import { loadTokenizer } from '../services/embeddings/src/tokenizer.ts'
import { median, quantile, round, show } from './figures.ts'
import { writeMiniLm } from './minilm-shape.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, 'model-dir': { type: 'string' } },
})
const ROUNDS = Number(values.rounds)
const THREADS = 2
const live = new AbortController().signal
const DEMO = join(import.meta.dirname, '../models/demo/minilm')

const WORDS = 'the lights in the kitchen are off and it will rain in london tomorrow with my red car'.split(' ')
const textOf = (words: number, at: number): string =>
  Array.from({ length: words }, (_, place) => WORDS[(at * 5 + place * 7) % WORDS.length]).join(' ')
/** Words and two marks: 16 tokens each. */
const EVEN = Array.from({ length: 32 }, (_, at) => textOf(14, at))
/** From 4 to 128 tokens, most of them short, as sentences and notes are. */
const MIXED = Array.from({ length: 64 }, (_, at) => textOf(Math.round(2 + (124 * ((at * 29) % 64) ** 2) / 63 ** 2), at))
const SHORT = textOf(6, 0)

type Contender = (texts: readonly string[]) => Promise<unknown>

const folder = values['model-dir'] ?? (await mkdtemp(join(tmpdir(), 'hearth-minilm-')))
if (values['model-dir'] === undefined) await writeMiniLm(folder, DEMO)

const tokenizer = await loadTokenizer(folder)
const engineOptions = { dir: folder, dtype: 'fp32', threads: THREADS, maxBatchSize: 32 } as const
const module = new URL('../services/embeddings/src/engine.ts', import.meta.url)
const thread = new EngineThread<Int32Array, Float32Array>({ module, options: engineOptions, name: 'embeddings' })
await thread.load(live)
await thread.warm(live)
const limits = { maxBatchSize: 32, maxCost: 16_384, maxPadding: 1.25, cost: paddedTokens }
const batcher = new Batcher<Int32Array, Float32Array>({ ...limits, run: (inputs, run) => thread.run(inputs, run) })
const hearth: Contender = async (texts) => {
  const { rows } = await tokenizeTexts([...texts], { tokenizer, truncate: false }, live)
  return embed(rows, async (ids, signal) => ({ ...(await batcher.submit(ids, signal)), model: '' }), live)
}

env.localModelPath = dirname(folder)
env.allowRemoteModels = false
const extract = await pipeline('feature-extraction', basename(folder), {
  dtype: 'fp32',
  session_options: { intraOpNumThreads: THREADS, interOpNumThreads: 1 },
})
const transformers: Contender = (texts) => extract([...texts], { pooling: 'mean', normalize: true })

const bare = createEngine(engineOptions)
await bare.load()
const rowsOf = (texts: readonly string[]) => texts.map((text) => tokenizer.encode(text))
const session: Contender = (texts) => bare.run(rowsOf(texts), { signal: live, emit: () => undefined })

async function timed(work: Contender, texts: readonly string[]): Promise<number> {
  const start = performance.now()
  await work(texts)
  return performance.now() - start
}

/** Milliseconds of each contender, who take turns round by round. */
async function compare(
  texts: readonly string[],
  rounds: number,
  contenders: readonly Contender[],
): Promise<number[][]> {
  const times: number[][] = contenders.map(() => [])
  for (let turn = 0; turn < rounds + 2; turn++)
    for (const [at, contender] of contenders.entries()) {
      const ms = await timed(contender, texts)
      if (turn >= 2) times[at]?.push(ms)
    }
  return times
}

const rows: Record<string, string | number>[] = []
const [lone = [], loneOther = [], loneBare = []] = await compare([SHORT], ROUNDS * 20, [hearth, transformers, session])
rows.push({
  what: 'one text of 8 tokens, ms',
  hearth: round(median(lone), 2),
  'transformers.js': round(median(loneOther), 2),
  bound: round(median(loneBare), 2),
  'hearth p95': round(quantile(lone, 0.95), 2),
  'measured / bound': round(median(lone) / median(loneBare), 2),
})
const tokensOf = (texts: readonly string[]) => rowsOf(texts).reduce((sum, { length }) => sum + length, 0)
let tokensPerMs = 0
for (const [what, texts] of [
  ['32 texts of 16 tokens, texts/s', EVEN],
  ['64 texts of 4 to 128 tokens, texts/s', MIXED],
] as const) {
  const [own = [], other = [], alone = []] = await compare(texts, ROUNDS, [hearth, transformers, session])
  if (texts === EVEN) tokensPerMs = tokensOf(EVEN) / median(alone)
  const perSecond = (ms: number) => (texts.length / ms) * 1000
  const bound = perSecond(tokensOf(texts) / tokensPerMs)
  rows.push({
    what,
    hearth: round(perSecond(median(own)), 0),
    'transformers.js': round(perSecond(median(other)), 0),
    bound: round(bound, 0),
    'hearth / transformers.js': round(median(other) / median(own), 2),
    'measured / bound': round(perSecond(median(own)) / bound, 2),
  })
}
await show('embeddings', rows)

await batcher.close()
await thread.close()
await bare.close()
await extract.dispose()
if (values['model-dir'] === undefined) await rm(folder, { recursive: true })
