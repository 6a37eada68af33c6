/** The queue as `/metrics` tells it (Prometheus' text format). */

export type QueueDepth = { readonly waiting: number; readonly active: number; readonly failed: number }

const LINE = /^hearth_jobs\{(?:[^}]*,)?state="(\w+)"[^}]*\} ([\d.e+]+)$/gm

/** Jobs by state; null where there is no queue. */
export function queueDepth(metrics: string): QueueDepth | null {
  const counts = new Map([...metrics.matchAll(LINE)].map(([, state, count]) => [state, Number(count)]))
  if (counts.size === 0) return null
  const of = (...states: string[]) => states.reduce((sum, state) => sum + (counts.get(state) ?? 0), 0)
  return { waiting: of('waiting', 'wait', 'prioritized', 'delayed'), active: of('active'), failed: of('failed') }
}
