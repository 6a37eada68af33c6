/** Memory as the settings want it: a SQLite file, or a Chroma server; its jobs in Redis where there is one, else in this process. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from './config.ts'
import { startRememberJobs } from './jobs/remember-jobs.ts'
import { createEmbeddingsClient } from './stages/embeddings.ts'
import type { Embedder } from './stages/embeddings.ts'
import { createMemoryBook } from './stages/memory-book.ts'
import type { MemoryBook } from './stages/memory-book.ts'
import { openChroma } from './stages/memory-chroma.ts'
import type { NoteStore } from './stages/memory-note.ts'
import { openMemory } from './stages/memory-sqlite.ts'
import { createMemory } from './stages/memory.ts'
import type { Memory } from './stages/memory.ts'

export type StartedMemory = {
  /** For the turns. */
  readonly stage: Memory
  /** For the people whose memory it is. */
  readonly book: MemoryBook
  close(): Promise<void>
}

type Config = Pick<OrchestratorConfig, 'memory' | 'chroma' | 'embeddings' | 'hearth' | 'redis'>

/** `embedder`: another one than the embeddings service. Throws `invalid_config` when the file can't be used. */
export function startMemory(config: Config, log: Log, embedder: Embedder = serviceOf(config)): StartedMemory {
  const store = openStore(config, log)
  const { url: redisUrl } = config.redis
  const jobs =
    redisUrl === undefined ? undefined : startRememberJobs({ redisUrl, keep: (...one) => stage.keep(...one), log })
  const stage = createMemory({ embedder, store, ...config.memory, log, queue: jobs })
  return {
    stage,
    book: createMemoryBook({ store, embedder }),
    async close() {
      await jobs?.close()
      stage.close()
      store.close()
    },
  }
}

const serviceOf = ({ embeddings }: Config): Embedder => createEmbeddingsClient({ stage: 'memory', ...embeddings })

function openStore({ chroma: { url, limitMs }, hearth }: Config, log: Log): NoteStore {
  if (url !== undefined) return openChroma({ url, limitMs })
  const folder = join(hearth.home, 'memory')
  mkdirSync(folder, { recursive: true })
  return openMemory(join(folder, 'memory.sqlite'), { log })
}
