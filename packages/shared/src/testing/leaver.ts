/** Runs in a process of its own: once it is told to, it logs and leaves with 3. Its log's reader may be gone by then. */
import { leave, leaveAtOnce } from '../leave.ts'
import { createLogger } from '../telemetry.ts'

const log = createLogger({ service: 'leaver', level: 'info' })
process.once('message', (how) => {
  log.info('this is being written while the process leaves')
  log.info('last words')
  if (how === 'leave at once') leaveAtOnce(4)
  else if (how === 'leave soon') leave(3, 100)
  else leave(3)
})
process.send?.('listening')
