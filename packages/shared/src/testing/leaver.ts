/** Runs in a process of its own: once it is told how long it may take, it logs and leaves with 3, or with 4 at once. Its log's reader may be gone by then. */
import { leave, leaveAtOnce } from '../leave.ts'
import { createLogger } from '../telemetry.ts'

const log = createLogger({ service: 'leaver', level: 'info' })
process.once('message', (limit) => {
  log.info('this is being written while the process leaves')
  log.info('last words')
  if (limit === 'at once, alone') Object.assign(process, { execve: undefined })
  if (typeof limit === 'string') leaveAtOnce(4)
  else leave(3, Number(limit))
})
process.send?.('listening')
