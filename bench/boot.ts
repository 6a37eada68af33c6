/**
 * Starts: seconds from process start to listening, ready and first answer, for each preload policy, beside one process that loads the three
 * models one after another (goal: ready at least twice as fast); the first request after ready against the tenth for each service and length
 * (goal: at most 1.1 times); the set-up of a connection (goal: at most 10 ms); memory with the models loaded and unloaded. Random weights in the
 * shapes of Whisper base, MiniLM-L6 and, where `--kokoro` names a folder that models/train/kokoro_shapes.py made, Kokoro-82M.
 *
 *   npm run bench -- boot [--kokoro <folder>] [--rounds 3] [--only starts|requests|memory]
 */
import { parseArgs } from 'node:util'
import { modelFolders } from './boot-models.ts'
import { startSerial, startService } from './boot-process.ts'
import type { Service, Started } from './boot-process.ts'
import { firstRequest, REQUEST_KINDS, whole } from './boot-requests.ts'
import type { Ask } from './boot-requests.ts'
import { median, round, show } from './figures.ts'

const { values } = parseArgs({
  options: { kokoro: { type: 'string' }, rounds: { type: 'string', default: '3' }, only: { type: 'string' } },
})
const ROUNDS = Number(values.rounds)
const SERVICES = ['stt', 'tts', 'embeddings'] as const
const POLICIES = ['eager', 'background', 'lazy'] as const
const REQUESTS = 10
const folders = await modelFolders(values.kokoro)

type Start = { listenMs: number; readyMs: number; firstAnswerMs: number; cpuMs: number }

/** The three services side by side: the slowest of each counts, and all processor time. */
async function ownStart(policy: string): Promise<Start> {
  const begun = performance.now()
  const started = await Promise.all(SERVICES.map((service) => startService(service, folders[service], policy)))
  const readyMs = Math.max(...started.map((one) => one.readyMs))
  await Promise.all(started.map(({ url }, at) => firstRequest(SERVICES[at] ?? 'stt', url)))
  const firstAnswerMs = performance.now() - begun
  const costs = await Promise.all(started.map((one) => one.cost()))
  for (const { stop } of started) await stop()
  const cpuMs = costs.reduce((sum, cost) => sum + cost.cpuMs, 0)
  return { listenMs: Math.max(...started.map((one) => one.listenMs)), readyMs, firstAnswerMs, cpuMs }
}

async function serialStart(): Promise<Start> {
  const peer = await startSerial(folders)
  await whole(fetch(peer.url))
  const firstAnswerMs = peer.now()
  const { cpuMs } = await peer.cost()
  await peer.stop()
  return { listenMs: peer.listenMs, readyMs: peer.readyMs, firstAnswerMs, cpuMs }
}

async function benchStarts(): Promise<void> {
  const contenders: Record<string, () => Promise<Start>> = { 'one after another': serialStart }
  for (const policy of POLICIES) contenders[policy] = () => ownStart(policy)
  const seen = new Map<string, Start[]>(Object.keys(contenders).map((name) => [name, []]))
  // The first round fills the disk's cache and the compile cache.
  for (let turn = 0; turn <= ROUNDS; turn++)
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
    'processor s': seconds(all, 'cpuMs'),
  }))
  await show('boot', rows)
}

/** Milliseconds of ten requests after a fresh start, the port having been spoken to once. */
async function ten(service: Service, ask: Ask): Promise<number[]> {
  const { url, stop } = await startService(service, folders[service], 'eager')
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

async function benchRequests(): Promise<void> {
  const rows = []
  for (const service of SERVICES)
    for (const [length, ask] of Object.entries(REQUEST_KINDS[service])) {
      const all: number[][] = []
      // This process is cold in its first round.
      for (let turn = 0; turn <= ROUNDS; turn++) {
        const spentMs = await ten(service, ask)
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

async function benchMemory(): Promise<void> {
  const rows = []
  for (const service of SERVICES) {
    const started = await startService(service, folders[service], 'eager')
    await firstRequest(service, started.url)
    const loaded = await started.cost()
    const connectMs = service === 'stt' ? await connections(started) : Number.NaN
    const isUnloaded = await unload(started.url)
    const after = isUnloaded ? round((await started.cost()).rssMb) : '-'
    rows.push({
      service,
      'loaded MB': round(loaded.rssMb),
      'peak MB': round(loaded.peakMb),
      'unloaded MB': after,
      'WebSocket ms': round(connectMs, 2),
    })
    await started.stop()
  }
  await show('boot-memory', rows)
}

/** Median milliseconds until a WebSocket is open. */
async function connections({ url }: Started): Promise<number> {
  const spentMs = []
  for (let count = 0; count < 20; count++) {
    const start = performance.now()
    const socket = new WebSocket(url.replace('http', 'ws'))
    await new Promise((done, failed) => {
      socket.addEventListener('open', done)
      socket.addEventListener('error', failed)
    })
    spentMs.push(performance.now() - start)
    socket.close()
  }
  return median(spentMs)
}

async function unload(url: string): Promise<boolean> {
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }
  const answers = await Promise.all(list.data.map(({ id }) => fetch(`${url}/api/ps/${id}`, { method: 'DELETE' })))
  return answers.some(({ ok }) => ok)
}

if (values.only === undefined || values.only === 'starts') await benchStarts()
if (values.only === undefined || values.only === 'requests') await benchRequests()
if (values.only === undefined || values.only === 'memory') await benchMemory()
