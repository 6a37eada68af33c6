/** For tests of language models on servers: the embedded model, which is never asked there. */
import { idleStatus } from '@hearth/shared/model-status'

export const NO_CHAT = {
  status: idleStatus('none'),
  submit: () => Promise.reject(new Error('expected not to be asked')),
  preload: () => {},
} as const
