/**
 * Has a language model look at new notes while nobody talks: what rules said of a note is made better, and its neighbours learn of it. It never
 * runs beside a turn, which the same model may have to answer: a turn stops it, and it begins again after a time of quiet.
 */
import type { Log } from '@hearth/shared/telemetry'
import { within } from './limit.ts'
import type { EmbeddedNote, Note, NoteStore } from './memory-note.ts'

/** What a model says of a note. */
export type Described = {
  readonly keywords: readonly string[]
  /** Ids of those of the near notes that have to do with it. */
  readonly related: readonly string[]
  /** New keywords of related notes, by id. */
  readonly updated: ReadonlyMap<string, readonly string[]>
}

export interface NoteWriter {
  /** Whether a model answers that is fit for it. */
  isThere(): boolean
  /** Null when the answer can't be used. Throws what the language model throws. */
  describe(note: Note, near: readonly Note[], signal: AbortSignal): Promise<Described | null>
}

export type EnrichmentOptions = {
  readonly store: NoteStore
  readonly writer: NoteWriter
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Without a turn, before it begins. */
  readonly quietMs?: number
}

export type NoteAddress = { readonly user: string; readonly id: string }

const QUIET_MS = 10_000
/** For one note. */
const LIMIT_MS = 30_000
/** The oldest go: what rules said of them stays. */
const MOST_WAITING = 200
const NEIGHBOURS = 6
const MOST_LINKS = 8

export class Enrichment {
  readonly #options: EnrichmentOptions
  readonly #waiting: NoteAddress[] = []
  #running = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #work: Promise<void> = Promise.resolve()

  constructor(options: EnrichmentOptions) {
    this.#options = options
  }

  /** Notes that were kept just now. */
  add(notes: readonly NoteAddress[]): void {
    if (!this.#options.writer.isThere()) return
    this.#waiting.push(...notes)
    this.#waiting.splice(0, this.#waiting.length - MOST_WAITING)
    this.pause()
  }

  /** Somebody talks. */
  pause(): void {
    this.#running.abort(new Error('somebody talks'))
    clearTimeout(this.#timer)
    if (this.#isClosed || this.#waiting.length === 0) return
    this.#timer = setTimeout(() => this.#begin(), this.#options.quietMs ?? QUIET_MS).unref()
  }

  /** Resolves when the model is not being asked. */
  async settled(): Promise<void> {
    await this.#work
  }

  close(): void {
    this.#isClosed = true
    this.pause()
  }

  #begin(): void {
    this.#work = this.#run()
  }

  /** Until nothing waits, somebody talks, or the model fails: what waits then waits for the next note. */
  async #run(): Promise<void> {
    this.#running = new AbortController()
    const { signal } = this.#running
    try {
      for (let [next] = this.#waiting; next && !signal.aborted; [next] = this.#waiting) {
        await this.#enrich(next, signal)
        // Too many came meanwhile, and it went with the oldest.
        if (this.#waiting[0] === next) this.#waiting.shift()
      }
    } catch (err) {
      if (!signal.aborted) this.#options.log.warn({ err, notes: this.#waiting.length }, 'notes were not looked at')
    }
  }

  async #enrich({ user, id }: NoteAddress, signal: AbortSignal): Promise<void> {
    const { store, writer } = this.#options
    const [note] = await store.get(user, [id], signal)
    if (!note || note.supersededBy !== null) return
    const found = await store.nearest({ ...note, limit: NEIGHBOURS + 1 }, signal)
    const near = found.map((one) => one.note).filter((other) => other.id !== id)
    const described = await within(LIMIT_MS, signal, (limit) => writer.describe(note, near.slice(0, NEIGHBOURS), limit))
    if (!described) return
    // Read anew: the model took its time, and the person may have changed or deleted them meanwhile.
    const [now] = await store.get(user, [id], signal)
    if (!now || now.text !== note.text) return
    const related = await store.get(user, described.related, signal)
    await store.put([withWords(now, described), ...related.map((other) => taught(other, id, described))], signal)
  }
}

const withWords = (note: EmbeddedNote, { keywords, related }: Described): EmbeddedNote => ({
  ...note,
  ...(keywords.length > 0 && { keywords }),
  links: [...new Set([...related, ...note.links])].slice(0, MOST_LINKS),
})

const taught = (other: EmbeddedNote, id: string, { updated }: Described): EmbeddedNote => ({
  ...other,
  keywords: updated.get(other.id) ?? other.keywords,
  links: [...new Set([...other.links, id])].slice(-MOST_LINKS),
})
