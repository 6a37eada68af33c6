/** Starts of the three services, for each policy, and of the peer: when they listen, are ready, have answered, are warm; processor time until then. */
import { SERVICES, startSerial, startService } from './boot-process.ts'
import type { ModelFolders } from './boot-models.ts'
import { firstRequest, whole } from './boot-asks.ts'
import { median, round, show } from './figures.ts'

const POLICIES = ['eager', 'background', 'lazy'] as const

type Start = {
  listenMs: number
  readyMs: number
  firstAnswerMs: number
  warmMs: number
  cpuMs: number
  warmCpuMs: number
}

/** The three services side by side: the slowest of each counts, and all processor time. */
async function ownStart(folders: ModelFolders, policy: string): Promise<Start> {
  const begun = performance.now()
  const started = await Promise.all(SERVICES.map((service) => startService(service, folders[service], policy)))
  const readyMs = Math.max(...started.map((one) => one.readyMs))
  const costs = await Promise.all(started.map((one) => one.cost()))
  await Promise.all(started.map(({ url }, at) => firstRequest(SERVICES[at] ?? 'stt', url)))
  const firstAnswerMs = performance.now() - begun
  const warmMs = Math.max(...(await Promise.all(started.map((one) => one.untilWarm()))))
  const warmCosts = await Promise.all(started.map((one) => one.cost()))
  for (const { stop } of started) await stop()
  const listenMs = Math.max(...started.map((one) => one.listenMs))
  return { listenMs, readyMs, firstAnswerMs, warmMs, cpuMs: sum(costs), warmCpuMs: sum(warmCosts) }
}

const sum = (costs: readonly { cpuMs: number }[]) => costs.reduce((all, { cpuMs }) => all + cpuMs, 0)

async function serialStart(folders: ModelFolders, warm: 'warm' | 'cold'): Promise<Start> {
  const peer = await startSerial(folders, warm)
  const { cpuMs } = await peer.cost()
  await whole(fetch(peer.url))
  const firstAnswerMs = peer.now()
  await peer.stop()
  const { listenMs, readyMs } = peer
  return { listenMs, readyMs, firstAnswerMs, warmMs: Number.NaN, cpuMs, warmCpuMs: Number.NaN }
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
    'warm s': seconds(all, 'warmMs'),
    'processor s to ready': seconds(all, 'cpuMs'),
    'to warm, with those answers': seconds(all, 'warmCpuMs'),
  }))
  await show('boot', rows)
}
