/**
 * The compose file in figures: sizes of the images, seconds from `up` to everything healthy, and what replicas of stt do with the queue.
 * Needs a Docker engine (`npm run test:compose` says how it finds one).
 *
 *   npm run bench -- compose
 */
import { composeProject, docker } from '../e2e/compose.ts'
import { lookAtJob, submitJob } from '../e2e/containers/jobs.ts'
import { served } from '../e2e/containers/served.ts'
import { untilTrue } from '../e2e/until-true.ts'
import { SERVICES } from '../scripts/stack.ts'
import { round, show } from './figures.ts'

const JOBS = 300
const stack = await composeProject({ settings: { HF_HUB_OFFLINE: '1' } })
await stack.run('build')

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return round((performance.now() - start) / 1000)
}

const sizes = []
for (const service of SERVICES) {
  const bytes = Number(await docker(['image', 'inspect', '--format', '{{.Size}}', `hearth/${service}:local`]))
  sizes.push({ image: `hearth/${service}`, megabytes: round(bytes / 1e6, 0) })
}
await show('compose-images', sizes)

const cold = await seconds(() => stack.up())
await stack.run('down')
const warm = await seconds(() => stack.up())
await show('compose-up', [
  { start: 'cold: empty volumes', 'seconds to healthy': cold },
  { start: 'warm: after down', 'seconds to healthy': warm },
])

const rows = []
for (const replicas of [1, 2, 3]) {
  await stack.up('--no-recreate', '--scale', `stt=${replicas}`)
  const since = new Date().toISOString()
  const spent = await seconds(async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => submitJob(stack.url)))
    for (const { id } of jobs) await untilTrue(async () => (await lookAtJob(stack.url, id)).status === 'completed')
  })
  const shares = await served(stack, 'stt', '/v1/audio/transcriptions', since)
  rows.push({ replicas, 'jobs per second': round(JOBS / spent), 'jobs of each replica': shares.join(', ') })
}
await show('compose-replicas', rows)
await stack.remove()
