/** A service sends itself requests once its model is warm, while nobody else does: the HTTP path is compiled as it is used, and its first passes cost several times the tenth. */
import type { ModelStatus } from './api.ts'
import { SLOW_INFERENCE_MS } from './engine-thread.ts'
import { inQuietMoments, type QuietMoments } from './quiet-moments.ts'
import type { Log } from './telemetry.ts'

/** Sends one request of the usual kind to the service at `base`. */
export type SendRehearsal = (base: string, signal: AbortSignal) => Promise<Response>

export type Rehearsal = QuietMoments & {
  readonly send: SendRehearsal
  /** The service's own address. */
  readonly base: string
  /** Of its model, which is warm. */
  readonly status: Pick<ModelStatus, 'secondInferenceMs'>
  readonly log: Pick<Log, 'warn'>
}

/** Of a slow model's service just one: most of the cold path is lost in its time. */
const REHEARSALS = { quick: 30, slow: 1 } as const
/** No rehearsal begins when those before it took so long. */
const ENOUGH_MS = 1000
const LIMIT_MS = 60_000

/** Never rejects: a rehearsal that fails is told, and the service goes on. */
export async function rehearse({ send, base, status, log, ...quiet }: Rehearsal): Promise<void> {
  const most = REHEARSALS[(status.secondInferenceMs ?? 0) < SLOW_INFERENCE_MS ? 'quick' : 'slow']
  let [count, spentMs] = [0, 0]
  const once = async () => {
    const startMs = quiet.now()
    await wholeAnswer(await send(base, AbortSignal.any([quiet.signal, AbortSignal.timeout(LIMIT_MS)])))
    spentMs += quiet.now() - startMs
    return ++count < most && spentMs < ENOUGH_MS
  }
  await inQuietMoments(once, quiet).catch((err: unknown) => {
    if (!quiet.signal.aborted) log.warn({ err }, 'rehearsal failed')
  })
}

async function wholeAnswer(answer: Response): Promise<void> {
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`the rehearsal was answered ${answer.status}`)
}
