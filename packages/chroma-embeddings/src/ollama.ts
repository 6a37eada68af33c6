/**
 * Chroma's embedding function on Ollama's `POST /api/embed` (Hearth's embeddings service answers it too). The model is asked to stay in memory,
 * so that it is not loaded anew for every question: `registerEmbeddingFunction('hearth-ollama', OllamaEmbeddings)`.
 */
import type { Space } from './hearth.ts'
import { embedAll, field, post } from './request.ts'
import { requireSameModel, restored, settingsOf, stored } from './settings.ts'
import type { Settings, StoredSettings } from './settings.ts'

const DEFAULTS = { url: 'http://127.0.0.1:11434', model: 'all-minilm' }
/** For ever. */
const KEEP_ALIVE = -1

export class OllamaEmbeddings {
  readonly name = 'hearth-ollama'
  readonly #settings: Settings

  /** `url`: where Ollama is, without `/api`. */
  constructor(settings: Partial<Settings> = {}) {
    this.#settings = settingsOf(settings, DEFAULTS)
  }

  static buildFromConfig(this: void, config: Readonly<Record<string, unknown>>): OllamaEmbeddings {
    return new OllamaEmbeddings(restored(config))
  }

  /** Vector i belongs to text i. Texts beyond the model's limit are an error: they would be found by their beginning only. */
  generate(texts: readonly string[]): Promise<number[][]> {
    const { model } = this.#settings
    const request = (input: readonly string[]) =>
      post(this.#settings, '/api/embed', { model, input, truncate: false, keep_alive: KEEP_ALIVE })
    return embedAll(texts, request, (answer) => field(answer, 'embeddings'))
  }

  /** Ollama's server knows no difference between questions and texts. */
  generateForQueries(texts: readonly string[]): Promise<number[][]> {
    return this.generate(texts)
  }

  getConfig(): StoredSettings {
    return stored(this.#settings)
  }

  /** The vectors have length 1. */
  defaultSpace(): Space {
    return 'cosine'
  }

  supportedSpaces(): Space[] {
    return ['cosine', 'l2', 'ip']
  }

  validateConfig(config: Readonly<Record<string, unknown>>): void {
    restored(config)
  }

  validateConfigUpdate(config: Readonly<Record<string, unknown>>): void {
    requireSameModel(this.#settings.model, config)
  }
}
