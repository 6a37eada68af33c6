/** Runs in a process of its own: once it is told to, it logs and leaves with 3. Its log's reader may be gone by then. */
import { leave } from '../leave.ts'
import { createLogger } from '../telemetry.ts'

const log = createLogger({ service: 'leaver', level: 'info' })
process.once('message', () => {
  log.info('this is being written while the process leaves')
  log.info('last words')
  leave(3, 100)
})
process.send?.('listening')
