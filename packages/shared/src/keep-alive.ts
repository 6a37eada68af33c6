/** How long an unused model stays in memory, in Ollama's words: `5m`, `1h30m`, a number of seconds; 0 not at all, below zero for ever. */
import * as z from 'zod'

const MS = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
const LONGEST_MS = 365 * 24 * MS.h
const NUMBER = /^[+-]?\d+(?:\.\d+)?$/
const DURATION = /^[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/

/** Milliseconds, `Infinity` for ever; null when `text` is no duration. */
export function parseKeepAlive(text: string | number): number | null {
  const trimmed = String(text).trim()
  if (NUMBER.test(trimmed)) return bounded(Number(trimmed) * MS.s)
  if (!DURATION.test(trimmed)) return null
  const parts = trimmed.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)
  const ms = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * MS[unit as keyof typeof MS], 0)
  return bounded(trimmed.startsWith('-') ? -ms : ms)
}

const bounded = (ms: number): number => (ms < 0 || ms > LONGEST_MS ? Infinity : ms)

const EXPECTED = 'expected a duration such as 5m, or seconds; 0 for at once, -1 for ever'

/** As milliseconds; for a setting, or a field of a request. */
export const KeepAlive = z.union([z.string().max(32), z.number()], EXPECTED).transform((value, context) => {
  const ms = parseKeepAlive(value)
  if (ms !== null) return ms
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})
