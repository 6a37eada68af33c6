/** Whether a service's last start was slower than those before it, and what was different then. */
import type { BootEntry } from './api.ts'
import { type Check, ok, skipped, type Verdict, warning } from './doctor.ts'
import { bytesInWords } from './in-words.ts'

/** A start counts as slow from this factor on, and only by this much: nobody minds a tenth of a second. */
const SLOW = { factor: 1.5, byMs: 1000 } as const
/** How many earlier starts are compared with. */
const COMPARED = 10
/** More programs than usual that want a processor. */
const BUSY_BY = 2

export const bootCheck = (boots: () => Promise<readonly BootEntry[]>): Check => ({
  name: 'last start',
  run: async () => judgeLastStart(await boots()),
})

/** Entries oldest first. */
export function judgeLastStart(entries: readonly BootEntry[]): Verdict {
  const last = entries.at(-1)
  const before = entries.slice(0, -1).slice(-COMPARED)
  const previous = before.at(-1)
  if (!last || last.readyMs === null) return skipped('no start is known yet')
  if (!previous) return ok(`took ${seconds(last.readyMs)}; there is none before it to compare with`)
  const usualMs = median(before.flatMap(({ readyMs }) => readyMs ?? []))
  const times = `took ${seconds(last.readyMs)}, usually ${seconds(usualMs)}`
  if (last.readyMs < usualMs * SLOW.factor || last.readyMs < usualMs + SLOW.byMs) return ok(times)
  const causes = causesOf(last, previous, before)
  return warning(`${times}: ${causes.map(({ why }) => why).join('; ')}`, causes[0]?.remedy ?? '')
}

type Cause = { readonly why: string; readonly remedy: string }

/** The likeliest first; the part that grew most stands last, because it says where and not why. */
function causesOf(last: BootEntry, previous: BootEntry, before: readonly BootEntry[]): Cause[] {
  const usualLoad = median(before.map(({ load }) => load))
  const all: (Cause | false)[] = [
    last.downloadedBytes > 0 && {
      why: `${bytesInWords(last.downloadedBytes)} were downloaded in ${seconds(last.fetchMs ?? 0)}`,
      remedy: 'nothing: the next start has them; `npm run models pull` fetches before a start',
    },
    last.model !== previous.model && {
      why: `another model than before (${last.model} after ${previous.model})`,
      remedy: 'nothing, if the other model was wanted',
    },
    last.release !== previous.release && {
      why: 'the first start after an update',
      remedy: 'nothing: start again to see whether it stays slow',
    },
    hasRestarted(last, previous) && {
      why: 'the first start since the machine was started, so files were read from the disk',
      remedy: 'nothing: the next start finds them in memory',
    },
    last.load > usualLoad + BUSY_BY && {
      why: `the machine was busy (load ${last.load.toFixed(1)}, usually ${usualLoad.toFixed(1)})`,
      remedy: 'start when the machine has less to do',
    },
  ]
  return [...all.filter((cause) => cause !== false), grownPart(last, before)]
}

const PARTS = { fetchMs: 'finding the files', loadMs: 'loading', warmUpMs: 'warm-up' } as const

function grownPart(last: BootEntry, before: readonly BootEntry[]): Cause {
  const parts = (['fetchMs', 'loadMs', 'warmUpMs'] as const).map((part) => {
    const usualMs = median(before.flatMap((entry) => entry[part] ?? []))
    return { part, usualMs, grownMs: (last[part] ?? 0) - usualMs }
  })
  const { part, usualMs } = parts.reduce((most, one) => (one.grownMs > most.grownMs ? one : most))
  const why = `${PARTS[part]} took ${seconds(last[part] ?? 0)} instead of ${seconds(usualMs)}`
  return { why, remedy: 'start again; if it stays so, look at what else the machine and its disk do' }
}

function hasRestarted(last: BootEntry, previous: BootEntry): boolean {
  const machineStartedMs = Date.parse(last.startedAt) - last.machineUpSeconds * 1000
  return machineStartedMs > Date.parse(previous.startedAt)
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
