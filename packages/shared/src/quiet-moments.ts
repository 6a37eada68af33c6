/** Work that waits until nobody needs the service: what is left to warm once a model is ready. */
import { orAborted, type SetTimer, systemTimer } from './waits.ts'

export type QuietMoments = {
  /** Whether somebody is being served, between the parts of a request too. */
  readonly isInUse: () => boolean
  readonly signal: AbortSignal
  readonly now: () => number
  readonly setTimer?: SetTimer
}

const LOOK_EVERY_MS = 20
/** What is used for that long without a pause is warm by it. */
const LIMIT_MS = 60_000

/**
 * Does one part after another until one gives `false`, each only when nobody was being served a moment before: a request that comes meanwhile
 * waits for one part at most. What has found no moment within a minute is left out. Rejects with what a part throws, or with the signal's reason.
 */
export async function inQuietMoments(part: () => Promise<boolean>, quiet: QuietMoments): Promise<void> {
  const untilMs = quiet.now() + LIMIT_MS
  while (await isQuietBy(untilMs, quiet)) if (!(await part())) return
}

async function isQuietBy(
  untilMs: number,
  { isInUse, signal, now, setTimer = systemTimer }: QuietMoments,
): Promise<boolean> {
  do {
    const moment = Promise.withResolvers<void>()
    const cancel = setTimer(moment.resolve, LOOK_EVERY_MS)
    await orAborted(moment.promise, signal).finally(cancel)
  } while (isInUse() && now() < untilMs)
  return now() < untilMs
}
