/** Leaves at once while threads of its own make one session after another, of the model in the folder that it is given. */
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { leaveAtOnce } from '@hearth/shared/leave'
import { InferenceSession } from 'onnxruntime-node'

const THREADS = 3

async function makeSessions(folder: string): Promise<never> {
  for (;;) {
    await InferenceSession.create(join(folder, 'decoder_model_merged.onnx'))
    parentPort?.postMessage('made', [])
  }
}

function leaveSoon(folder: string): void {
  let made = 0
  for (let count = 0; count < THREADS; count++)
    new Worker(new URL(import.meta.url), { workerData: folder }).on('message', () => {
      if (++made === 2 * THREADS) leaveAtOnce(5)
    })
}

if (isMainThread) leaveSoon(process.argv[2] ?? '')
else await makeSessions(String(workerData))
