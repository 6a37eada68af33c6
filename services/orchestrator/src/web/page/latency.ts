/** How long people waited, turn by turn: from the end of what they said, or the sending of what they typed, to the first sound of the reply. */
import { roundSteps } from './waterfall.ts'

export type Wait = { readonly ms: number; readonly isSpoken: boolean }

/** The middle, and what 19 of 20 stay below (nearest rank); null without any. */
export function quantiles(waits: readonly Wait[]): { readonly p50: number; readonly p95: number } | null {
  const sorted = waits.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]
  const [p50, p95] = [at(0.5), at(0.95)]
  return p50 === undefined || p95 === undefined ? null : { p50, p95 }
}

export type Plot = {
  readonly points: readonly (Wait & { readonly x: number; readonly y: number })[]
  readonly lines: readonly { readonly ms: number; readonly y: number }[]
  /** Of the median; null without points. */
  readonly medianY: number | null
}

/** Places in a box of `width` by `height`, y downwards: turns from left to right, the axis from 0 to above the longest wait. */
export function plotOf(waits: readonly Wait[], { width, height }: { width: number; height: number }): Plot {
  const longest = Math.max(100, ...waits.map(({ ms }) => ms))
  const [zero = 0, step = longest] = roundSteps(longest, 3)
  const steps = Array.from({ length: Math.ceil(longest / step) + 1 }, (_, at) => zero + at * step)
  const top = (steps.at(-1) ?? longest) * 1.05
  const y = (ms: number) => height - (ms / top) * height
  const x = (at: number) => ((at + 0.5) / waits.length) * width
  const median = quantiles(waits)?.p50
  return {
    points: waits.map((wait, at) => ({ ...wait, x: x(at), y: y(wait.ms) })),
    lines: steps.map((ms) => ({ ms, y: y(ms) })),
    medianY: median === undefined ? null : y(median),
  }
}
