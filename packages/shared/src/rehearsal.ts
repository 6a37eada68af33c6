/** A service sends itself requests before it says that it is ready: the HTTP path is compiled as it is used, and its first passes cost several times the tenth. */
import type { ModelStatus } from './api.ts'
import { SLOW_INFERENCE_MS } from './engine-thread.ts'
import type { Log } from './telemetry.ts'

/** Sends one request of the usual kind to the service at `base`. */
export type SendRehearsal = (base: string, signal: AbortSignal) => Promise<Response>

export type Rehearsal = {
  readonly send: SendRehearsal
  /** The service's own address. */
  readonly base: string
  /** Of its model, which is warm. */
  readonly status: Pick<ModelStatus, 'secondInferenceMs'>
  readonly log: Pick<Log, 'warn'>
}

const REHEARSALS = 30
/** No rehearsal begins after that: on a busy machine readiness is worth more. */
const REHEARSAL_MS = 2000
const REHEARSAL_LIMIT_MS = 20_000

/** Never rejects: a rehearsal that fails is told, and the service opens all the same. A slow model gets none, for a cold path is lost in its time. */
export async function rehearse({ send, base, status, log }: Rehearsal): Promise<void> {
  if ((status.secondInferenceMs ?? 0) >= SLOW_INFERENCE_MS) return
  const signal = AbortSignal.timeout(REHEARSAL_LIMIT_MS)
  try {
    const until = performance.now() + REHEARSAL_MS
    for (let count = 0; count < REHEARSALS && performance.now() < until; count++)
      await wholeAnswer(await send(base, signal))
  } catch (err) {
    log.warn({ err }, 'rehearsal failed')
  }
}

async function wholeAnswer(answer: Response): Promise<void> {
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`the rehearsal was answered ${answer.status}`)
}
