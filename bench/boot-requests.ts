/** A request in the gap between ready and warm, and the first one after it, against the later ones, for each service and length: by the clock and in processor time. */
import { REQUEST_KINDS, whole } from './boot-asks.ts'
import type { Ask } from './boot-asks.ts'
import type { ModelFolders } from './boot-models.ts'
import { SERVICES, startService } from './boot-process.ts'
import type { Service, Started } from './boot-process.ts'
import { median, round, show } from './figures.ts'

const REQUESTS = 10
/** The last ones: one of them alone is as much luck as the machine's others leave. */
const STEADY = 5

type Cost = { readonly ms: number; readonly cpuMs: number }

async function costOfRequest({ url, spentMs }: Started, ask: Ask, turn: number): Promise<Cost> {
  const [start, before] = [performance.now(), await spentMs()]
  await whole(ask(url, turn))
  const ms = performance.now() - start
  return { ms, cpuMs: (await spentMs()) - before }
}

/** Ten requests after a fresh start, the port having been spoken to once: at once, or once it is warm. */
async function ten(service: Service, dir: string, ask: Ask, isGap: boolean): Promise<Cost[]> {
  const started = await startService(service, dir, 'eager')
  if (!isGap) await started.untilWarm()
  await whole(fetch(`${started.url}/health`))
  const costs: Cost[] = []
  for (let turn = 0; turn < REQUESTS; turn++) {
    costs.push(await costOfRequest(started, ask, turn))
    if (isGap && turn === 0) await started.untilWarm()
  }
  await started.stop()
  return costs
}

export async function benchRequests(folders: ModelFolders, rounds: number): Promise<void> {
  const rows = []
  for (const service of SERVICES)
    for (const [length, ask] of Object.entries(REQUEST_KINDS[service])) {
      const [gap, warm]: [Cost[][], Cost[][]] = [[], []]
      // This process is cold in its first round.
      for (let turn = 0; turn <= rounds; turn++) {
        const both = [await ten(service, folders[service], ask, true), await ten(service, folders[service], ask, false)]
        if (turn > 0) for (const [at, costs] of both.entries()) (at === 0 ? gap : warm).push(costs)
      }
      const first = (all: readonly Cost[][], of: keyof Cost) => median(all.map(([one]) => one?.[of] ?? Number.NaN))
      const steady = (of: keyof Cost) =>
        median([...gap, ...warm].flatMap((all) => all.slice(-STEADY).map((one) => one[of])))
      rows.push({
        service,
        length,
        'in the gap ms': round(first(gap, 'ms')),
        'first ms': round(first(warm, 'ms')),
        'steady ms': round(steady('ms')),
        'first / steady': round(first(warm, 'ms') / steady('ms'), 2),
        'processor: gap / steady': round(first(gap, 'cpuMs') / steady('cpuMs'), 2),
        'processor: first / steady': round(first(warm, 'cpuMs') / steady('cpuMs'), 2),
      })
    }
  await show('boot-requests', rows)
}
