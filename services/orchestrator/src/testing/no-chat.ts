/** For tests of language models on servers: the embedded model, which is never asked there. */
export const NO_CHAT = {
  status: {
    id: 'none',
    source: null,
    state: 'idle',
    progress: null,
    loadMs: null,
    firstInferenceMs: null,
    secondInferenceMs: null,
    warning: null,
    error: null,
  },
  submit: () => Promise.reject(new Error('expected not to be asked')),
  preload: () => {},
} as const
