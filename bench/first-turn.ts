/**
 * From a bare clone to the first spoken answer: seconds of install, load and warm-up, in an empty folder with an empty home.
 *
 *   npm run bench -- first-turn
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { round, show } from './figures.ts'
import { generate, SPEECH } from './requests.ts'
import { ROOT, startStack } from '../e2e/stack.ts'
import { SERVICES } from '../scripts/stack.ts'
import { readReport } from './stack.ts'

const work = await mkdtemp(join(tmpdir(), 'hearth-clone-'))
const folder = join(work, 'hearth')
execFileSync('git', ['clone', '--quiet', ROOT, folder])
const seconds = (since: number) => round((performance.now() - since) / 1000, 2)

const start = performance.now()
const home = join(work, 'home')
const stack = await startStack({
  root: folder,
  env: { HOME: home, XDG_DATA_HOME: home, npm_config_cache: join(work, 'npm') },
})
const installed = Number(/Installing dependencies .*? ([\d.]+) s/.exec(stack.output())?.[1])
const ready = seconds(start)
const reports = await Promise.all(SERVICES.map((service) => readReport(stack.url[service])))
const models = reports.flatMap((report) => report.models)
const slowest = (ms: (model: (typeof models)[number]) => number | null) =>
  round(Math.max(...models.map((m) => ms(m) ?? 0)) / 1000, 2)
const reply = await generate(stack, `${SPEECH}/008.wav`)
await show('first-turn', [
  { step: 'install', 'seconds since npm start': installed },
  { step: 'every model warm', 'seconds since npm start': ready },
  { step: 'first spoken answer', 'seconds since npm start': seconds(start) },
  { step: '(slowest model: load)', 'seconds since npm start': slowest((model) => model.loadMs) },
  { step: '(slowest model: first inference)', 'seconds since npm start': slowest((model) => model.firstInferenceMs) },
  { step: '(the first turn itself)', 'seconds since npm start': round((reply.timings['totalMs'] ?? 0) / 1000, 3) },
])
await stack.stop()
await rm(work, { recursive: true, force: true })
