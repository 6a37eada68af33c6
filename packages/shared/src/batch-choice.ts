/**
 * Which of the inputs that wait make up the next batch. The one idea: a batch is a rectangle as long as its longest row, so rows of like
 * length go together; the oldest is always among them, so that none waits for ever.
 */

export type BatchLimits<In> = {
  readonly maxBatchSize: number
  readonly maxCost: number
  readonly cost: (inputs: readonly In[]) => number
  /** How much more a batch may cost than its inputs do one by one; undefined: first come, first served. */
  readonly maxPadding?: number | undefined
}

/** Of `waiting` (oldest first), at least one unless it is empty. */
export function chooseBatch<Entry, In>(
  waiting: readonly Entry[],
  inputOf: (entry: Entry) => In,
  limits: BatchLimits<In>,
): readonly Entry[] {
  const { maxBatchSize, maxPadding } = limits
  const [oldest] = waiting
  if (oldest === undefined) return []
  if (maxPadding === undefined) return longestFit(waiting.slice(0, maxBatchSize), inputOf, limits)
  const costs = new Map(waiting.map((entry) => [entry, limits.cost([inputOf(entry)])]))
  const costOf = (entry: Entry): number => costs.get(entry) ?? 0
  const sorted = waiting.toSorted((a, b) => costOf(a) - costOf(b))
  return around(sorted, sorted.indexOf(oldest), { ...limits, costOf, inputOf, maxPadding })
}

/** The first entries that together cost no more than they may. */
function longestFit<Entry, In>(
  entries: readonly Entry[],
  inputOf: (entry: Entry) => In,
  { cost, maxCost }: BatchLimits<In>,
): readonly Entry[] {
  const inputs = entries.map(inputOf)
  while (inputs.length > 1 && cost(inputs) > maxCost) inputs.pop()
  return entries.slice(0, inputs.length)
}

type Window<Entry, In> = BatchLimits<In> & {
  readonly inputOf: (entry: Entry) => In
  readonly costOf: (entry: Entry) => number
  readonly maxPadding: number
}

/** From `at` outwards, the neighbour of the nearer cost first, while the batch keeps to its limits; a side that breaks one is left. */
function around<Entry, In>(sorted: readonly Entry[], at: number, window: Window<Entry, In>): readonly Entry[] {
  const { maxBatchSize, maxCost, maxPadding, cost, costOf, inputOf } = window
  let [from, to] = [at, at + 1]
  let [lowest, highest] = [0, sorted.length]
  const fits = (batch: readonly Entry[]): boolean => {
    const total = cost(batch.map(inputOf))
    return total <= maxCost && total <= maxPadding * batch.reduce((sum, entry) => sum + costOf(entry), 0)
  }
  const distance = (index: number): number => {
    const [entry, own] = [sorted[index], sorted[at]]
    return entry === undefined || own === undefined ? Infinity : Math.abs(costOf(entry) - costOf(own))
  }
  while (to - from < maxBatchSize && (from > lowest || to < highest)) {
    const goesDown = to >= highest || (from > lowest && distance(from - 1) <= distance(to))
    if (fits(sorted.slice(goesDown ? from - 1 : from, goesDown ? to : to + 1)))
      [from, to] = goesDown ? [from - 1, to] : [from, to + 1]
    else if (goesDown) lowest = from
    else highest = to
  }
  return sorted.slice(from, to)
}
