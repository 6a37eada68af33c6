/**
 * Chroma's embedding function on Hearth's embeddings service, or on any server of OpenAI's `POST /v1/embeddings`. Once registered, a collection
 * made with it knows it again in any process: `registerEmbeddingFunction('hearth', HearthEmbeddings)`.
 */
import { embedAll, field, post } from './request.ts'
import { ServerEmbeddings } from './server-embeddings.ts'
import { restored, settingsOf } from './settings.ts'
import type { Settings } from './settings.ts'

const DEFAULTS = { url: 'http://127.0.0.1:8083', model: 'Xenova/all-MiniLM-L6-v2' }

export class HearthEmbeddings extends ServerEmbeddings {
  override readonly name = 'hearth'

  /** `url`: where the service is, without `/v1`. */
  constructor(settings: Partial<Settings> = {}) {
    super(settingsOf(settings, DEFAULTS))
  }

  static buildFromConfig(this: void, config: Readonly<Record<string, unknown>>): HearthEmbeddings {
    return new HearthEmbeddings(restored(config))
  }

  override generate(texts: readonly string[]): Promise<number[][]> {
    const { model } = this.settings
    const request = (input: readonly string[]) =>
      post(this.settings, '/v1/embeddings', { model, input, encoding_format: 'float' })
    return embedAll(texts, request, vectorsInOrder)
  }
}

function vectorsInOrder(answer: unknown): unknown {
  const data = field(answer, 'data')
  if (!Array.isArray(data)) return undefined
  const placed = data.toSorted((a, b) => Number(field(a, 'index')) - Number(field(b, 'index')))
  return placed.map((entry) => field(entry, 'embedding'))
}
