/** For tests: a job worker in a process of its own, which a test can kill. Arguments: Redis' address, the spool's folder, stt's address. */
import { createLogger } from '@hearth/shared/telemetry'
import { createFileSpool } from '../jobs/spool-folder.ts'
import { startJobWorker } from '../jobs/worker.ts'

const [redisUrl = '', folder = '', sttUrl = ''] = process.argv.slice(2)
const maxAgeMs = 900_000
startJobWorker({
  redisUrl,
  spool: createFileSpool({ folder, maxBytes: 1e9, maxAgeMs }),
  sttUrls: [sttUrl],
  limitMs: 60_000,
  windowMs: 0,
  maxAgeMs,
  log: createLogger({ service: 'worker', level: 'silent' }),
})
