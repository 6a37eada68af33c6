/**
 * Embeds notes anew that another model, or another revision of it, has embedded. It runs behind the turns: until a note's turn has come it is
 * not found, because vectors of two models say nothing to each other.
 */
import type { Log } from '@hearth/shared/telemetry'
import type { Embedder } from './embeddings.ts'
import { modelKey } from './memory-note.ts'
import type { EmbeddingModel, NoteStore } from './memory-note.ts'

export type ReembedOptions = {
  readonly store: NoteStore
  readonly embedder: Embedder
  readonly log: Pick<Log, 'info' | 'warn'>
}

const BATCH = 32

export class Reembedding {
  readonly #options: ReembedOptions
  readonly #closing = new AbortController()
  /** The model for which all notes are done, or are being done. */
  #key: string | null = null
  #work: Promise<void> = Promise.resolve()

  constructor(options: ReembedOptions) {
    this.#options = options
  }

  /** Told of the model that answers now; begins when it is not the one before. Never throws, never waits. */
  noticed(embedding: EmbeddingModel): void {
    const key = modelKey(embedding)
    if (this.#key === key || this.#closing.signal.aborted) return
    this.#key = key
    this.#work = this.#work.then(() => this.#run(embedding))
  }

  /** Resolves when nothing is being embedded anew. */
  async settled(): Promise<void> {
    await this.#work
  }

  close(): void {
    this.#closing.abort()
  }

  async #run(embedding: EmbeddingModel): Promise<void> {
    const { store, log } = this.#options
    const { signal } = this.#closing
    let count = 0
    try {
      for (;;) {
        const notes = await store.outdated(embedding, BATCH, signal)
        if (notes.length === 0) break
        await this.#again(embedding, notes, signal)
        count += notes.length
      }
      if (count > 0) log.info({ model: modelKey(embedding), notes: count }, 'memory was embedded anew')
    } catch (err) {
      // The next turn begins again where this one ended.
      this.#key = null
      if (!signal.aborted)
        log.warn({ model: modelKey(embedding), err, notes: count }, 'memory is not embedded anew yet')
    }
  }

  async #again(
    wanted: EmbeddingModel,
    notes: Awaited<ReturnType<NoteStore['outdated']>>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, embedder } = this.#options
    const texts = notes.map(({ text }) => text)
    const { vectors, model, revision = null } = await embedder.embed(texts, signal)
    if (modelKey({ model, revision }) !== modelKey(wanted)) throw new Error('the embedding model changed meanwhile')
    const embedded = notes.flatMap((note, at) => {
      const vector = vectors[at]
      return vector ? [{ ...note, vector, embedding: wanted }] : []
    })
    await store.put(embedded, signal)
  }
}
