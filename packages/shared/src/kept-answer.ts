/** Asking costs the same for one caller as for a thousand: those who ask at once, or soon after, get one answer. */

/** A function that joins the `work` that runs, or gives what it gave less than `keptMs` ago. A failure is not kept. */
export function keepAnswer<T>(work: () => Promise<T>, keptMs: number, now = () => performance.now()): () => Promise<T> {
  let running: Promise<T> | undefined
  let kept: { readonly answer: T; readonly atMs: number } | undefined
  const ask = async (): Promise<T> => {
    try {
      const answer = await work()
      kept = { answer, atMs: now() }
      return answer
    } finally {
      running = undefined
    }
  }
  return async () => (kept && now() - kept.atMs < keptMs ? kept.answer : (running ??= ask()))
}
