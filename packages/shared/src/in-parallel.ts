/** Several pieces of work at once, but not all; and when one fails, the others stop and are waited for, so that nothing goes on unseen. */

/**
 * Runs `work` for each input, at most `limit` at a time, begun in order. Gives the outputs in the inputs' order. The first failure aborts
 * the signal that the others got, with that failure as its reason, and is what this rejects with once all have ended.
 */
export async function inParallel<In, Out>(
  inputs: readonly In[],
  limit: number,
  signal: AbortSignal,
  work: (input: In, stop: AbortSignal) => Promise<Out>,
): Promise<Out[]> {
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const outputs: Out[] = []
  const waiting = inputs.entries()
  const lane = async (): Promise<void> => {
    for (const [at, input] of waiting) {
      if (stop.aborted) return
      outputs[at] = await work(input, stop)
    }
  }
  const lanes = Array.from({ length: Math.min(limit, inputs.length) }, lane)
  await Promise.all(lanes.map((ending) => ending.catch((error: unknown) => failed.abort(error))))
  stop.throwIfAborted()
  return outputs
}
