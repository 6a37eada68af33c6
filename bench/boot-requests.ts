/** The first request after ready against the later ones, for each service and length. */
import { REQUEST_KINDS, whole } from './boot-asks.ts'
import type { Ask } from './boot-asks.ts'
import type { ModelFolders } from './boot-models.ts'
import { SERVICES, startService } from './boot-process.ts'
import type { Service } from './boot-process.ts'
import { median, round, show } from './figures.ts'

const REQUESTS = 10

/** Milliseconds of ten requests after a fresh start, the port having been spoken to once. */
async function ten(service: Service, dir: string, ask: Ask): Promise<number[]> {
  const { url, stop } = await startService(service, dir, 'eager')
  await whole(fetch(`${url}/health`))
  const spentMs = []
  for (let turn = 0; turn < REQUESTS; turn++) {
    const start = performance.now()
    await whole(ask(url, turn))
    spentMs.push(performance.now() - start)
  }
  await stop()
  return spentMs
}

export async function benchRequests(folders: ModelFolders, rounds: number): Promise<void> {
  const rows = []
  for (const service of SERVICES)
    for (const [length, ask] of Object.entries(REQUEST_KINDS[service])) {
      const all: number[][] = []
      // This process is cold in its first round.
      for (let turn = 0; turn <= rounds; turn++) {
        const spentMs = await ten(service, folders[service], ask)
        if (turn > 0) all.push(spentMs)
      }
      const first = median(all.map((spentMs) => spentMs[0] ?? Number.NaN))
      // The last five: one of them alone is as much luck as the machine's others leave.
      const steady = median(all.flatMap((spentMs) => spentMs.slice(-5)))
      rows.push({
        service,
        length,
        'first ms': round(first),
        'steady ms': round(steady),
        'first / steady': round(first / steady, 2),
      })
    }
  await show('boot-requests', rows)
}
