/** Resident memory of each service with its model and after it was unloaded; how long a connection takes to be set up. */
import { firstRequest } from './boot-asks.ts'
import type { ModelFolders } from './boot-models.ts'
import { SERVICES, startService } from './boot-process.ts'
import type { Started } from './boot-process.ts'
import { median, round, show } from './figures.ts'

export async function benchMemory(folders: ModelFolders): Promise<void> {
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
