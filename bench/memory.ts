/**
 * Memory with many notes: how long a recall takes in each store once the question is embedded, how fast notes are added, how large the file is.
 * SQLite in this process, and a real Chroma server where scripts/install-chroma.ts has brought one. The vectors lie in clusters, as those of
 * sentences do; found = share of the exact best five that the store's first twenty hold.
 *
 *   npm run bench -- memory [--notes 100000] [--recalls 200] [--stores sqlite,chroma]
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startChroma } from '../packages/chroma-embeddings/src/testing/chroma-server.ts'
import { openChroma } from '../services/orchestrator/src/stages/memory-chroma.ts'
import { dot } from '../services/orchestrator/src/stages/memory-note.ts'
import type { EmbeddedNote, NoteStore } from '../services/orchestrator/src/stages/memory-note.ts'
import { openMemory } from '../services/orchestrator/src/stages/memory-sqlite.ts'
import { quantile, round, show } from './figures.ts'

const { values } = parseArgs({
  options: {
    notes: { type: 'string', default: '100000' },
    recalls: { type: 'string', default: '200' },
    stores: { type: 'string', default: 'sqlite,chroma' },
  },
})
const NOTES = Number(values.notes)
const RECALLS = Number(values.recalls)
const SIZE = 384
const CLUSTERS = 500
const BATCH = 500
const LIMIT = 20
const EXACT = 20
const BEST = 5
const live = new AbortController().signal
const embedding = { model: 'bench', revision: '1' }

/** The same numbers in every run. */
let state = 12_345
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state / 2 ** 32
}
function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector))
  return vector.map((value) => value / length)
}
const direction = () => unit(Float32Array.from({ length: SIZE }, () => random() + random() + random() - 1.5))
const centres = Array.from({ length: CLUSTERS }, direction)
function nearCentre(): Float32Array {
  const centre = centres[Math.floor(random() * CLUSTERS)] ?? direction()
  const own = direction()
  return unit(centre.map((value, at) => value + (own[at] ?? 0)))
}

function noteOf(n: number, vector: Float32Array): EmbeddedNote {
  const text = `This is the note with the number ${n}, which is about as long as what people say.`
  return {
    id: `note-${n}`,
    user: 'anna',
    session: 's',
    turn: null,
    kind: 'statement',
    text,
    topic: null,
    createdAt: n,
    saidAt: n,
    importance: 0.5,
    keywords: ['note', 'number'],
    links: [],
    supersededBy: null,
    embedding,
    vector,
  }
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)))
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0)
}

const vectors = Array.from({ length: NOTES }, nearCentre)
const questions = Array.from({ length: RECALLS }, nearCentre)

/** The exact best of the first questions, by comparing all. */
const exact = questions.slice(0, EXACT).map((question) => {
  const scores = vectors.map((vector, n) => ({ n, score: dot(question, vector) }))
  return scores.toSorted((a, b) => b.score - a.score).slice(0, BEST)
})

async function measure(name: string, store: NoteStore, folder: string) {
  const startedAt = performance.now()
  for (let at = 0; at < NOTES; at += BATCH) {
    const some = vectors.slice(at, at + BATCH).map((vector, place) => noteOf(at + place, vector))
    await store.put(some, live)
  }
  const insertS = (performance.now() - startedAt) / 1000
  const recall = async (vector: Float32Array) => store.nearest({ user: 'anna', embedding, vector, limit: LIMIT }, live)
  const coldAt = performance.now()
  await recall(direction())
  const firstMs = performance.now() - coldAt
  const times: number[] = []
  let found = 0
  for (const [at, question] of questions.entries()) {
    const begun = performance.now()
    const answer = await recall(question)
    times.push(performance.now() - begun)
    const ids = new Set(answer.map(({ note }) => note.id))
    found += (exact[at] ?? []).filter(({ n }) => ids.has(`note-${n}`)).length
  }
  store.close()
  return {
    store: name,
    notes: NOTES,
    'first recall ms': round(firstMs),
    'recall p50 ms': round(quantile(times, 0.5)),
    'recall p95 ms': round(quantile(times, 0.95)),
    found: round(found / (exact.length * BEST), 3),
    'notes/s added': round(NOTES / insertS, 0),
    MB: round((await bytesIn(folder)) / 1e6),
  }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const rows: Record<string, string | number>[] = []
const stores = values.stores.split(',')
if (stores.includes('sqlite'))
  rows.push(await inFolder((folder) => measure('sqlite', openMemory(join(folder, 'memory.sqlite')), folder)))
if (stores.includes('chroma'))
  rows.push(
    await inFolder(async (folder) => {
      const chroma = await startChroma(folder)
      try {
        return await measure('chroma', openChroma({ url: chroma.url, limitMs: 60_000 }), folder)
      } finally {
        await chroma.kill()
      }
    }),
  )
await show('memory', rows)
