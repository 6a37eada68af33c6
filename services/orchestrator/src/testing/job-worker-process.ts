/**
 * For tests: a job worker in a process of its own, which a test can kill, freeze or ask to stop. Arguments: Redis' address, the spools'
 * folder, stt's address, and a lock's length and the pause between two looks for stalled jobs, in milliseconds.
 */
import { join } from 'node:path'
import { createLogger } from '@hearth/shared/telemetry'
import { createFileSpool } from '../jobs/spool-folder.ts'
import { startJobWorker } from '../jobs/worker.ts'

const [redisUrl = '', folder = '', sttUrl = '', lockDuration = '5000', stalledInterval = '2500'] = process.argv.slice(2)
const maxAgeMs = 900_000
const spoolIn = (name: string) => createFileSpool({ folder: join(folder, name), maxBytes: 1e9, maxAgeMs })
const worker = startJobWorker({
  redisUrl,
  spool: spoolIn('spool'),
  results: spoolIn('results'),
  sttUrls: [sttUrl],
  limitMs: 60_000,
  windowMs: 0,
  maxAgeMs,
  lock: { lockDuration: Number(lockDuration), stalledInterval: Number(stalledInterval) },
  log: createLogger({ service: 'worker', level: 'silent' }),
})
process.once('SIGTERM', () => {
  void worker.close().then(() => process.exit(0))
})
