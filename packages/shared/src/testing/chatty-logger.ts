/** Runs in a process of its own: logs more than a pipe holds, then either leaves or tells its parent that it goes on. */
import { createLogger } from '../telemetry.ts'

const log = createLogger({ service: 'chatty', level: 'info' })
for (let line = 0; line < 200; line++) log.info('x'.repeat(10_000))
if (process.argv.includes('leave')) {
  log.info('last words')
  process.exit(1)
}
setImmediate(() => process.send?.('alive'))
process.once('disconnect', () => process.exit(0))
