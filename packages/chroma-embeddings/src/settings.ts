/** The settings of an embedding function as Chroma stores them beside a collection: snake case, no secrets, checked when they come back. */
import type { Server } from './request.ts'

export type Settings = Server & { readonly model: string }

export type StoredSettings = {
  readonly url: string
  readonly model_name: string
  readonly api_key_env_var?: string
  readonly limit_ms: number
}

const LIMIT_MS = 60_000

/** Throws when the address is none of http or https. */
export function settingsOf(
  { url, model, apiKeyEnvVar, limitMs = LIMIT_MS }: Partial<Settings>,
  defaults: { url: string; model: string },
): Settings {
  const address = url ?? defaults.url
  const parsed = URL.parse(address)
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:')
    throw new Error('url: expected an address that begins with http:// or https://')
  return { url: address.replace(/\/+$/, ''), model: model ?? defaults.model, apiKeyEnvVar, limitMs }
}

export const stored = ({ url, model, apiKeyEnvVar, limitMs }: Settings): StoredSettings => ({
  url,
  model_name: model,
  ...(apiKeyEnvVar !== undefined && { api_key_env_var: apiKeyEnvVar }),
  limit_ms: limitMs,
})

/** Throws when they are not what `stored` gives. */
export function restored(config: Readonly<Record<string, unknown>>): Settings {
  const { url, model_name: model, api_key_env_var: apiKeyEnvVar, limit_ms: limitMs = LIMIT_MS } = config
  if (typeof url !== 'string' || typeof model !== 'string') throw new Error('expected url and model_name as texts')
  if (apiKeyEnvVar !== undefined && typeof apiKeyEnvVar !== 'string')
    throw new Error('api_key_env_var: expected the name of an environment variable')
  if (typeof limitMs !== 'number' || !(limitMs > 0)) throw new Error('limit_ms: expected milliseconds')
  return settingsOf({ url, model, limitMs, ...(apiKeyEnvVar !== undefined && { apiKeyEnvVar }) }, { url, model })
}

/** Vectors of two models can't be in one collection; the address may change. */
export function requireSameModel(current: string, config: Readonly<Record<string, unknown>>): void {
  if (config['model_name'] === current) return
  throw new Error('model_name can not be changed: the collection holds vectors of its model')
}
