/** What both embedding functions owe Chroma beside the request itself: the collection's contract of chromadb 3's `EmbeddingFunction`. */
import { requireSameModel, restored, stored } from './settings.ts'
import type { Settings, StoredSettings } from './settings.ts'

export type Space = 'cosine' | 'l2' | 'ip'

export abstract class ServerEmbeddings {
  /** As it is registered, and as a collection remembers it. */
  abstract readonly name: string
  protected readonly settings: Settings

  constructor(settings: Settings) {
    this.settings = settings
  }

  /** Vector i belongs to text i. Texts beyond the model's limit are an error: they would be found by their beginning only. */
  abstract generate(texts: readonly string[]): Promise<number[][]>

  /** Neither server knows a difference between questions and texts. */
  generateForQueries(texts: readonly string[]): Promise<number[][]> {
    return this.generate(texts)
  }

  getConfig(): StoredSettings {
    return stored(this.settings)
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
    requireSameModel(this.settings.model, config)
  }
}
