/**
 * How well memory finds what was said: sixty dialogues (dialogues.ts) are remembered and asked for, through the real path, with the demo
 * embedding model or the one in `--model-dir`. recall@3 is the share whose answer is among the first three; outdated, the share of changed facts
 * that came back in their old form.
 *
 *   npm run bench -- memory-quality [--model-dir <folder>] [--stores sqlite,chroma]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startChroma } from '../packages/chroma-embeddings/src/testing/chroma-server.ts'
import { createEngine } from '../services/embeddings/src/engine.ts'
import { loadTokenizer } from '../services/embeddings/src/tokenizer.ts'
import type { Embedder } from '../services/orchestrator/src/stages/embeddings.ts'
import { openChroma } from '../services/orchestrator/src/stages/memory-chroma.ts'
import type { NoteStore } from '../services/orchestrator/src/stages/memory-note.ts'
import { openMemory } from '../services/orchestrator/src/stages/memory-sqlite.ts'
import { createMemory } from '../services/orchestrator/src/stages/memory.ts'
import { DIALOGUES } from './dialogues.ts'
import { round, show } from './figures.ts'

const DEMO = join(import.meta.dirname, '../models/demo/minilm')
const { values } = parseArgs({
  options: { 'model-dir': { type: 'string', default: DEMO }, stores: { type: 'string', default: 'sqlite,chroma' } },
})
const dir = values['model-dir']
const live = new AbortController().signal
const FIRST = 3

const tokenizer = await loadTokenizer(dir)
const engine = createEngine({ dir, dtype: 'fp32', threads: 2, maxBatchSize: 32 })
await engine.load()
const embedder: Embedder = {
  embed: async (texts) => {
    const rows = texts.map((text) => tokenizer.encode(text))
    return { vectors: await engine.run(rows, { signal: live, emit: () => undefined }), model: dir }
  },
}

async function measure(name: string, store: NoteStore) {
  const log = { info: () => undefined, warn: () => undefined }
  let time = Date.UTC(2026, 0, 1)
  const memory = createMemory({ embedder, store, threshold: 0.3, budgetMs: 10_000, log, now: () => (time += 60_000) })
  let [found, first, outdated] = [0, 0, 0]
  for (const [at, { said, asked, right, wrong }] of DIALOGUES.entries()) {
    const user = `user-${at}`
    for (const text of said) {
      await memory.remember({ text, user, session: `s-${at}` }, live)
      await memory.settled()
    }
    const { memories } = await memory.recall(asked, user, live)
    const texts = memories.slice(0, FIRST).map(({ text }) => text)
    if (texts.includes(right)) found++
    if (texts[0] === right) first++
    if (memories.some(({ text }) => text === wrong)) outdated++
  }
  memory.close()
  store.close()
  const changed = DIALOGUES.filter(({ wrong }) => wrong !== undefined).length
  return {
    store: name,
    dialogues: DIALOGUES.length,
    'recall@3': round(found / DIALOGUES.length, 3),
    'recall@1': round(first / DIALOGUES.length, 3),
    'facts that changed': changed,
    outdated: round(outdated / changed, 3),
  }
}

const rows: Record<string, string | number>[] = []
const folder = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
try {
  if (values.stores.includes('sqlite')) rows.push(await measure('sqlite', openMemory(join(folder, 'memory.sqlite'))))
  if (values.stores.includes('chroma')) {
    const chroma = await startChroma(join(folder, 'chroma'))
    try {
      rows.push(await measure('chroma', openChroma({ url: chroma.url, limitMs: 10_000 })))
    } finally {
      await chroma.kill()
    }
  }
} finally {
  await rm(folder, { recursive: true })
  await engine.close()
}
await show('memory-quality', rows)
