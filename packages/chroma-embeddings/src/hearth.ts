/**
 * Chroma's embedding function on Hearth's embeddings service, or on any server of OpenAI's `POST /v1/embeddings`. Once registered, a collection
 * made with it knows it again in any process: `registerEmbeddingFunction('hearth', HearthEmbeddings)`.
 */
import { embedAll, field, post } from './request.ts'
import { requireSameModel, restored, settingsOf, stored } from './settings.ts'
import type { Settings, StoredSettings } from './settings.ts'

export type Space = 'cosine' | 'l2' | 'ip'

const DEFAULTS = { url: 'http://127.0.0.1:8083', model: 'Xenova/all-MiniLM-L6-v2' }

export class HearthEmbeddings {
  readonly name = 'hearth'
  readonly #settings: Settings

  /** `url`: where the service is, without `/v1`. */
  constructor(settings: Partial<Settings> = {}) {
    this.#settings = settingsOf(settings, DEFAULTS)
  }

  static buildFromConfig(this: void, config: Readonly<Record<string, unknown>>): HearthEmbeddings {
    return new HearthEmbeddings(restored(config))
  }

  /** Vector i belongs to text i. Texts beyond the model's limit are an error: they would be found by their beginning only. */
  generate(texts: readonly string[]): Promise<number[][]> {
    const { model } = this.#settings
    const request = (input: readonly string[]) =>
      post(this.#settings, '/v1/embeddings', { model, input, encoding_format: 'float' })
    return embedAll(texts, request, vectorsInOrder)
  }

  /** The models that Hearth serves embed questions like any text. */
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

function vectorsInOrder(answer: unknown): unknown {
  const data = field(answer, 'data')
  if (!Array.isArray(data)) return undefined
  const placed = data.toSorted((a, b) => Number(field(a, 'index')) - Number(field(b, 'index')))
  return placed.map((entry) => field(entry, 'embedding'))
}
