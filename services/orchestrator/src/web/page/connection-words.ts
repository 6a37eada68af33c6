/** How it stands, in a word or two beside the name. */
import type { ModelStatus } from '@hearth/shared/api'
import { isServing } from '@hearth/shared/model-status'
import type { SocketState } from './socket.ts'

export type Standing = { readonly state: 'ready' | 'loading' | 'connecting' | 'away'; readonly words: string }

export const areReady = (models: readonly ModelStatus[]): boolean => unready(models).length === 0

export function standingOf(connection: SocketState, models: readonly ModelStatus[]): Standing {
  if (connection === 'elsewhere') return { state: 'away', words: 'Goes on in another window' }
  if (connection === 'away') return { state: 'away', words: 'Offline, typing works' }
  const coming = unready(models)
  if (coming.some(({ state }) => state === 'failed')) return { state: 'away', words: 'A model has failed' }
  if (coming.length > 0) return { state: 'loading', words: `Loading ${coming.map(({ id }) => id).join(', ')}` }
  return connection === 'connecting' ? { state: 'connecting', words: 'Connecting' } : { state: 'ready', words: 'Ready' }
}

const unready = (models: readonly ModelStatus[]) => models.filter((model) => !isServing(model))
