/** A turn's waterfall as rows of bars: one row for each stage in the order in which they began, all on one axis. */
import type { GenerateReply } from '@hearth/shared/api'

export type Waterfall = GenerateReply['waterfall']
type Bar = { readonly startShare: number; readonly widthShare: number; readonly isCut: boolean }
export type Row = { readonly stage: string; readonly bars: readonly Bar[]; readonly ms: number }
export type Layout = {
  readonly rows: readonly Row[]
  /** Where round numbers of milliseconds stand. */
  readonly ticks: readonly { readonly ms: number; readonly share: number }[]
  readonly totalMs: number
  /** Time in which no stage worked. */
  readonly idleMs: number
}

/** What people call the stages. */
const TITLES: Readonly<Record<string, string>> = {
  request: 'Request',
  voice: 'Voice lookup',
  session: 'Session',
  stt: 'Hearing',
  memory: 'Memory',
  llm: 'Thinking',
  tts: 'Speaking',
  remember: 'Remembering',
}
export const titleOf = (stage: string): string => TITLES[stage] ?? stage

/** Shares are of the whole, 0 to 1. */
export function layOut(waterfall: Waterfall): Layout {
  const totalMs = Math.max(...waterfall.map(({ startMs, durationMs }) => startMs + durationMs), 1)
  const rows = new Map<string, { bars: Bar[]; ms: number }>()
  let idleMs = 0
  for (const span of waterfall) {
    if (!('stage' in span)) {
      idleMs += span.durationMs
      continue
    }
    const row = rows.get(span.stage) ?? { bars: [], ms: 0 }
    const isCut = span.unfinished === true
    row.bars.push({ startShare: span.startMs / totalMs, widthShare: span.durationMs / totalMs, isCut })
    row.ms += span.durationMs
    rows.set(span.stage, row)
  }
  const ticks = roundSteps(totalMs, 3).map((ms) => ({ ms, share: ms / totalMs }))
  return { rows: [...rows].map(([stage, row]) => ({ stage, ...row })), ticks, totalMs, idleMs }
}

/** From 0 up to `most`, about `count` round numbers more. */
export function roundSteps(most: number, count: number): number[] {
  const rough = most / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step)
}

/** `84 ms`, `1.25 s`. */
export const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`)
