/**
 * Where the time of one piece of work went: each stage's share, and a waterfall that leaves nothing out. The one idea: time in which no stage
 * worked is told too, as a gap named after its neighbours, so that the waterfall always covers the whole.
 */

/**
 * A stretch of time in which a stage worked; `startMs` counts from the clock's start. Stages that work at the same time overlap. Unfinished ones
 * still worked when it was asked.
 */
export type StageSpan<Stage extends string = string> = {
  readonly stage: Stage
  readonly startMs: number
  readonly durationMs: number
  readonly unfinished?: true
}

/** A stretch of time in which no stage worked, named by what ended before it and what began after it: `stt>memory`. */
export type Gap = { readonly gap: string; readonly startMs: number; readonly durationMs: number }

export type Waterfall<Stage extends string = string> = readonly (StageSpan<Stage> | Gap)[]

type Span = { startMs: number; endMs: number; unfinished?: true }
type NamedSpan<Stage extends string> = Span & { readonly stage: Stage }

/** Shorter pauses between two stretches of one stage are told as part of it, or a reply would have as many as it has tokens. */
const SPAN_PAUSE_MS = 5
/** Of one stage; the last of them takes in what follows. */
const MOST_SPANS = 32

/** Times the stages of one piece of work; the order of `stages` is the order in which they are told everywhere. */
export class StageClock<Stage extends string> {
  readonly #stages: readonly Stage[]
  readonly #now: () => number
  readonly #startedAt: number
  readonly #spentMs = new Map<Stage, number>()
  readonly #spans = new Map<Stage, Span[]>()
  readonly #atWork = new Set<{ readonly stage: Stage; readonly startMs: number }>()

  /** `startedAt`, by the clock `now`, is when the work began: now, unless it is told. */
  constructor(stages: readonly Stage[], now: () => number = () => performance.now(), startedAt: number = now()) {
    this.#stages = stages
    this.#now = now
    this.#startedAt = startedAt
  }

  /** Times `work`, also when it fails. A stage timed twice adds up. */
  async time<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const begun = { stage, startMs: this.elapsedMs() }
    this.#atWork.add(begun)
    try {
      return await work()
    } finally {
      const endMs = this.elapsedMs()
      this.#atWork.delete(begun)
      this.add(stage, endMs - begun.startMs)
      keep(this.#spans, stage, { startMs: begun.startMs, endMs })
    }
  }

  add(stage: Stage, ms: number): void {
    this.#spentMs.set(stage, (this.#spentMs.get(stage) ?? 0) + ms)
  }

  /** Records, once, how long after the clock's start, or after `sinceMs` on it, something happened. */
  mark(stage: Stage, sinceMs = 0): void {
    if (!this.#spentMs.has(stage)) this.#spentMs.set(stage, this.elapsedMs() - sinceMs)
  }

  elapsedMs(): number {
    return this.#now() - this.#startedAt
  }

  /** What was timed or marked so far, in milliseconds, in the order of the stages; `total` last. */
  entries(): (readonly [Stage | 'total', number])[] {
    const nowMs = this.elapsedMs()
    const spentMs = new Map(this.#spentMs)
    for (const { stage, startMs } of this.#atWork) spentMs.set(stage, (spentMs.get(stage) ?? 0) + nowMs - startMs)
    const timed = this.#stages.flatMap((stage) => {
      const ms = spentMs.get(stage)
      return ms === undefined ? [] : [[stage, round(ms)] as const]
    })
    return [...timed, ['total', round(nowMs)]]
  }

  /** The entries by name: `sttMs: 31.2`; `llm.first_token` is `llmFirstTokenMs`. */
  timings(): Record<string, number> {
    return Object.fromEntries(this.entries().map(([stage, ms]) => [`${camelCase(stage)}Ms`, ms]))
  }

  /** What worked when, in the order of the starts, and the gaps between: without the overlaps, their durations sum to the whole time. */
  waterfall(): Waterfall<Stage> {
    const totalMs = this.elapsedMs()
    const known = new Map([...this.#spans].map(([stage, spans]) => [stage, spans.map((span) => ({ ...span }))]))
    for (const { stage, startMs } of this.#atWork) keep(known, stage, { startMs, endMs: totalMs, unfinished: true })
    const spans = [...known]
      .flatMap(([stage, stretches]) => stretches.map((span) => ({ stage, ...span })))
      .toSorted((one, other) => one.startMs - other.startMs)
    return withGaps(spans, totalMs)
  }

  /** Both, as they are told together. */
  report(): { readonly timings: Record<string, number>; readonly waterfall: Waterfall<Stage> } {
    return { timings: this.timings(), waterfall: this.waterfall() }
  }
}

function keep<Stage>(known: Map<Stage, Span[]>, stage: Stage, span: Span): void {
  const spans = known.get(stage) ?? []
  known.set(stage, spans)
  const last = spans.at(-1)
  if (!last || (span.startMs - last.endMs >= SPAN_PAUSE_MS && spans.length < MOST_SPANS)) spans.push(span)
  else
    Object.assign(last, span, {
      startMs: Math.min(last.startMs, span.startMs),
      endMs: Math.max(last.endMs, span.endMs),
    })
}

/** `spans` by their starts, and the gaps between them, before the first and after the last; one too short to be told is left out. */
function withGaps<Stage extends string>(spans: readonly NamedSpan<Stage>[], totalMs: number): Waterfall<Stage> {
  const told: (StageSpan<Stage> | Gap)[] = []
  let reached = { name: 'start', endMs: 0 }
  const tellGap = (next: string, startMs: number) => {
    const durationMs = round(startMs - reached.endMs)
    if (durationMs > 0) told.push({ gap: `${reached.name}>${next}`, startMs: round(reached.endMs), durationMs })
  }
  for (const { stage, startMs, endMs, ...state } of spans) {
    tellGap(stage, startMs)
    told.push({ stage, startMs: round(startMs), durationMs: round(endMs - startMs), ...state })
    if (endMs >= reached.endMs) reached = { name: stage, endMs }
  }
  tellGap('end', totalMs)
  return told
}

const camelCase = (name: string): string => name.replace(/[._](\w)/g, (_, letter: string) => letter.toUpperCase())

const round = (ms: number): number => Number(ms.toFixed(1))
