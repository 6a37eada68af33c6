/** Starts the embeddings service. */
import { runService, startModelService } from '@hearth/shared/model-service'
import { withWeights } from '@hearth/shared/service-settings'
import { createEmbeddingsApp } from './app.ts'
import { readEmbeddingsConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import { identify } from './model-identity.ts'
import type { ModelIdentity } from './model-identity.ts'
import modelJson from './model.json' with { type: 'json' }
import { paddedTokens } from './padding.ts'
import type { TokenIds } from './padding.ts'
import { loadTokenizer } from './tokenizer.ts'
import type { Tokenizer } from './tokenizer.ts'

const { weights } = modelJson

/** Of tokens with their padding: a little more than the texts' own is cheaper than another run. */
const MAX_PADDING = 1.25

runService('embeddings', async () => {
  const config = readEmbeddingsConfig()
  const settings = config.embeddings
  const { dtype, threads, maxBatchSize, maxBatchTokens, batchWindowMs } = settings
  await startModelService<TokenIds, Float32Array, Tokenizer & ModelIdentity>({
    name: 'embeddings',
    config,
    settings,
    spec: withWeights(modelJson, dtype),
    maxBatchSize,
    maxCost: maxBatchTokens,
    cost: paddedTokens,
    maxPadding: MAX_PADDING,
    windowMs: batchWindowMs,
    engine: new URL('./engine.ts', import.meta.url),
    engineOptions: ({ dir }): EngineOptions => ({ dir, dtype, threads, maxBatchSize }),
    prepare: async (found) => ({
      ...(await loadTokenizer(found.dir)),
      ...(await identify(found, weights[dtype][0] ?? '', dtype)),
    }),
    createApp: (parts, prepared) => createEmbeddingsApp({ ...settings, ...parts, tokenizer: prepared }),
    rehearse: (base, signal) =>
      fetch(`${base}/v1/embeddings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: ['a text of a few words', 'another one'] }),
        signal,
      }),
  })
})
