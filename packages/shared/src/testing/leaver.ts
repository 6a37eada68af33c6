/** Runs in a process of its own: once it is told how long it may take, it logs and leaves with 3. Its log's reader may be gone by then. */
import { leave } from '../leave.ts'
import { createLogger } from '../telemetry.ts'

const log = createLogger({ service: 'leaver', level: 'info' })
process.once('message', (limitMs) => {
  log.info('this is being written while the process leaves')
  log.info('last words')
  leave(3, Number(limitMs))
})
process.send?.('listening')
