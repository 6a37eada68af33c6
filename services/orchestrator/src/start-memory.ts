/** Memory as the settings want it: a SQLite file, or a Chroma server; its jobs in Redis where there is one, else in this process. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelStatus } from '@hearth/shared/api'
import type { Log } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from './config.ts'
import { startRememberJobs } from './jobs/remember-jobs.ts'
import { createNoteWriter } from './note-writer.ts'
import type { Send } from './replica-send.ts'
import { createEmbeddingsClient } from './stages/embeddings.ts'
import { within } from './stages/limit.ts'
import type { LanguageModel } from './stages/llm.ts'
import { createMemoryBook } from './stages/memory-book.ts'
import type { MemoryBook } from './stages/memory-book.ts'
import { openChroma } from './stages/memory-chroma.ts'
import type { NoteStore } from './stages/memory-note.ts'
import { openMemory } from './stages/memory-sqlite.ts'
import { createMemory } from './stages/memory.ts'
import { OllamaEmbedder } from './stages/ollama-embeddings.ts'
import type { Memory } from './stages/memory.ts'

export type StartedMemory = {
  /** For the turns. */
  readonly stage: Memory
  /** For the people whose memory it is. */
  readonly book: MemoryBook
  /** Of an embedding model that the orchestrator looks after itself: for `/ready`. */
  readonly models: () => readonly ModelStatus[]
  close(): Promise<void>
}

type Config = Pick<OrchestratorConfig, 'memory' | 'chroma' | 'embeddings' | 'hearth' | 'redis' | 'ollama' | 'llm'>

/** Throws `invalid_config` when the file can't be used. */
export function startMemory(config: Config, llm: LanguageModel, send: Send, log: Log): StartedMemory {
  const ollama = ollamaOf(config, log)
  const embedder = ollama ?? createEmbeddingsClient({ stage: 'memory', ...config.embeddings, send, retries: true })
  const store = openStore(config, log)
  const writer = createNoteWriter(llm, (name) => SERVERS.test(name))
  const { url: redisUrl } = config.redis
  const jobs =
    redisUrl === undefined ? undefined : startRememberJobs({ redisUrl, keep: (...one) => stage.keep(...one), log })
  const stage = createMemory({ embedder, store, ...config.memory, log, queue: jobs, writer })
  return {
    stage,
    book: createMemoryBook({ store, embedder, settledFor: (...asked) => stage.settledFor(...asked) }),
    models: () => (ollama ? [ollama.status] : []),
    async close() {
      await jobs?.close()
      ollama?.close()
      await within(DRAIN_MS, new AbortController().signal, () => stage.settled()).catch(() => {})
      stage.close()
      store.close()
    },
  }
}

/** At the end, for what is being kept. */
const DRAIN_MS = 2000

/** The models of servers are called after them. The embedded one is not, and would not know what to do. */
const SERVERS = /^(?:openai|ollama)\//

const LOOK_EVERY_MS = 5000

/** Watched from the start; undefined when the settings name none. */
function ollamaOf({ ollama, embeddings, llm }: Config, log: Log): OllamaEmbedder | undefined {
  const { url, model: chatModel, embeddingModel: model, loadMs } = ollama
  if (model === undefined) return undefined
  const beside = llm.chain.includes('ollama') ? chatModel : undefined
  const limits = { limitMs: embeddings.limitMs, loadMs, lookEveryMs: LOOK_EVERY_MS }
  const embedder = new OllamaEmbedder({ url, model, chatModel: beside, ...limits, log })
  void embedder.watch()
  return embedder
}

function openStore({ chroma: { url, limitMs }, hearth }: Config, log: Log): NoteStore {
  if (url !== undefined) return openChroma({ url, limitMs })
  const folder = join(hearth.home, 'memory')
  mkdirSync(folder, { recursive: true })
  return openMemory(join(folder, 'memory.sqlite'), { log })
}
