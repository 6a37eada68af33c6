/** Starts of the three services, for each policy, and of the peer: when they listen, are ready, have answered; processor time until they are ready. */
import { SERVICES, startSerial, startService } from './boot-process.ts'
import type { ModelFolders } from './boot-models.ts'
import { firstRequest, whole } from './boot-asks.ts'
import { median, round, show } from './figures.ts'

const POLICIES = ['eager', 'background', 'lazy'] as const

type Start = { listenMs: number; readyMs: number; firstAnswerMs: number; cpuMs: number }

/** The three services side by side: the slowest of each counts, and all processor time. */
async function ownStart(folders: ModelFolders, policy: string): Promise<Start> {
  const begun = performance.now()
  const started = await Promise.all(SERVICES.map((service) => startService(service, folders[service], policy)))
  const readyMs = Math.max(...started.map((one) => one.readyMs))
  const costs = await Promise.all(started.map((one) => one.cost()))
  await Promise.all(started.map(({ url }, at) => firstRequest(SERVICES[at] ?? 'stt', url)))
  const firstAnswerMs = performance.now() - begun
  for (const { stop } of started) await stop()
  const cpuMs = costs.reduce((sum, cost) => sum + cost.cpuMs, 0)
  return { listenMs: Math.max(...started.map((one) => one.listenMs)), readyMs, firstAnswerMs, cpuMs }
}

async function serialStart(folders: ModelFolders, warm: 'warm' | 'cold'): Promise<Start> {
  const peer = await startSerial(folders, warm)
  const { cpuMs } = await peer.cost()
  await whole(fetch(peer.url))
  const firstAnswerMs = peer.now()
  await peer.stop()
  return { listenMs: peer.listenMs, readyMs: peer.readyMs, firstAnswerMs, cpuMs }
}

export async function benchStarts(folders: ModelFolders, rounds: number): Promise<void> {
  const contenders: Record<string, () => Promise<Start>> = {
    'one after another': () => serialStart(folders, 'cold'),
    'one after another, warmed': () => serialStart(folders, 'warm'),
  }
  for (const policy of POLICIES) contenders[policy] = () => ownStart(folders, policy)
  const seen = new Map<string, Start[]>(Object.keys(contenders).map((name) => [name, []]))
  // The first round fills the disk's cache and the compile cache.
  for (let turn = 0; turn <= rounds; turn++)
    for (const [name, start] of Object.entries(contenders)) {
      const one = await start()
      if (turn > 0) seen.get(name)?.push(one)
    }
  const seconds = (all: readonly Start[], of: keyof Start) => round(median(all.map((one) => one[of])) / 1000, 2)
  const rows = [...seen].map(([name, all]) => ({
    start: name,
    'listening s': seconds(all, 'listenMs'),
    'ready s': seconds(all, 'readyMs'),
    'first answers s': seconds(all, 'firstAnswerMs'),
    'processor s to ready': seconds(all, 'cpuMs'),
  }))
  await show('boot', rows)
}
