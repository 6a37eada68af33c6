/**
 * Chroma's embedding function on Ollama's `POST /api/embed` (Hearth's embeddings service answers it too). The model is asked to stay in memory,
 * so that it is not loaded anew for every question: `registerEmbeddingFunction('hearth-ollama', OllamaEmbeddings)`.
 */
import { embedAll, field, post } from './request.ts'
import { ServerEmbeddings } from './server-embeddings.ts'
import { restored, settingsOf } from './settings.ts'
import type { Settings } from './settings.ts'

const DEFAULTS = { url: 'http://127.0.0.1:11434', model: 'all-minilm' }
/** For ever. */
const KEEP_ALIVE = -1

export class OllamaEmbeddings extends ServerEmbeddings {
  override readonly name = 'hearth-ollama'

  /** `url`: where Ollama is, without `/api`. */
  constructor(settings: Partial<Settings> = {}) {
    super(settingsOf(settings, DEFAULTS))
  }

  static buildFromConfig(this: void, config: Readonly<Record<string, unknown>>): OllamaEmbeddings {
    return new OllamaEmbeddings(restored(config))
  }

  override generate(texts: readonly string[]): Promise<number[][]> {
    const { model } = this.settings
    const request = (input: readonly string[]) =>
      post(this.settings, '/api/embed', { model, input, truncate: false, keep_alive: KEEP_ALIVE })
    return embedAll(texts, request, (answer) => field(answer, 'embeddings'))
  }
}
