import { once } from 'node:events'
import { getPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'

const THREAD = `
  import { getPriority } from 'node:os'
  import { parentPort, workerData } from 'node:worker_threads'
  const { giveWay } = await import(workerData.file)
  giveWay(workerData.as)
  parentPort.postMessage(getPriority())
`

/** The nice value of a thread that gave way. */
async function niceOf(as: 'inference' | 'aside'): Promise<unknown> {
  const workerData = { file: new URL('./thread-priority.ts', import.meta.url).href, as }
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`), { workerData })
  const [nice]: unknown[] = await once(worker, 'message')
  return nice
}

test.runIf(process.platform === 'linux')(
  'inference gives way to work that a request waits for, and that to serving, which keeps its priority',
  async () => {
    const before = getPriority()
    expect([await niceOf('aside'), await niceOf('inference')]).toEqual([Math.max(10, before), 19])
    expect(getPriority()).toBe(before)
  },
)
