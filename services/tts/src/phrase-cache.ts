/**
 * Short fragments that were spoken before ("One moment, please."), kept in memory with their sound. The one idea: the cache stands between a reply
 * and the model as a `Submit` of its own, so that nobody else knows of it. The least recently used goes first.
 */
import type { Submit } from './speak.ts'
import type { Speech, SpeechInput } from './speech.ts'
import { mixKey } from './voice-mix.ts'

/** Longer texts seldom come twice. */
const MAX_CHARS = 80
/** What an entry takes beside its samples, roughly. */
const ENTRY_BYTES = 1000

type Entry = { readonly speech: Speech; readonly model: string }

export class PhraseCache {
  readonly #maxBytes: number
  /** By use, the least recent first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  /** `maxBytes` bounds what is kept; 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `submit` behind the cache. `model` names whose voice it is, with its revision: another model's sound is another phrase. */
  before(submit: Submit, model: string): Submit {
    return async (input, signal) => {
      const key = keyOf(input, model)
      const known = this.#entries.get(key)
      if (known !== undefined) {
        this.#touch(key, known)
        return { output: known.speech, queueMs: 0, inferenceMs: 0, batchSize: 0, model: known.model }
      }
      const spoken = await submit(input, signal)
      if (input.text.length <= MAX_CHARS && spoken.output.tokens > 0)
        this.#add(key, { speech: spoken.output, model: spoken.model })
      return spoken
    }
  }

  #add(key: string, entry: Entry): void {
    const bytes = bytesOf(key, entry)
    if (bytes > this.#maxBytes || this.#entries.has(key)) return
    this.#entries.set(key, entry)
    this.#bytes += bytes
    for (const [oldest, gone] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break
      this.#entries.delete(oldest)
      this.#bytes -= bytesOf(oldest, gone)
    }
  }

  #touch(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
  }
}

const keyOf = ({ text, voice, speed }: SpeechInput, model: string): string =>
  JSON.stringify([model, mixKey(voice), speed, text])

const bytesOf = (key: string, { speech }: Entry): number => ENTRY_BYTES + 2 * key.length + speech.samples.byteLength
