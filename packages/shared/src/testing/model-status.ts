import type { ModelStatus } from '../api.ts'

/** What a demo model that is loaded and warm tells of itself. */
export const readyModel = (id: string): ModelStatus => ({
  id,
  source: 'demo',
  state: 'ready',
  progress: null,
  loadMs: 1,
  firstInferenceMs: 2,
  secondInferenceMs: 1,
  warning: null,
  error: null,
})
