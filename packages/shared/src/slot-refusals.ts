/** Why a request does not get another model: the words and the times of a slot's refusals. */
import type { ModelStatus } from './api.ts'
import { AppError } from './errors.ts'
import type { ModelChoice } from './model-choice.ts'
import { loadingOf } from './model-status.ts'

/** Another one is coming, and stays for `leastStayMs` then. */
export const isBusy = (status: ModelStatus, leastStayMs: number): AppError =>
  new AppError('model_loading', `${status.id} is being loaded, and one model comes at a time`, {
    param: 'model',
    retryAfterMs: leastStayMs,
    details: { loading: loadingOf(status) },
  })

/** The one that sits there has come only just now. */
export const hasToStay = ({ id }: ModelStatus, { id: wanted }: ModelChoice, waitMs: number): AppError =>
  new AppError('model_loading', `${id} has only just been loaded, and ${wanted} takes its place later`, {
    param: 'model',
    retryAfterMs: waitMs,
  })

/** Under another name, or because a demo no longer stands in for it. */
export const isLoadedAlready = ({ id }: ModelStatus): AppError =>
  new AppError('model_failed', `${id} is loaded already`, { param: 'model' })

export const couldNotCome = ({ id }: ModelChoice, reason: string): AppError =>
  new AppError('model_failed', `${id} could not be loaded (${reason}); what was loaded before stays`, {
    param: 'model',
  })
