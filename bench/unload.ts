/**
 * What a model costs in memory and what unloading gives back: resident megabytes of a service before its model is loaded, with it, and after
 * `DELETE /api/ps/{id}`, over several rounds. MiniLM's and Whisper's real shapes with random weights; speech with the folder that is given.
 * `--plain` leaves the allocator as the system has it, which keeps more.
 *
 *   npm run bench -- unload [--kokoro <folder>] [--rounds 3] [--plain]
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { randomWhisper } from '@hearth/models/random-whisper'
import { round, show } from './figures.ts'
import { writeMiniLm } from './minilm-shape.ts'
import { costOf, spawnNode } from './processes.ts'
import { ROOT } from '../e2e/stack.ts'
import { ALLOCATOR } from '../scripts/stack.ts'

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { kokoro: { type: 'string' }, rounds: { type: 'string', default: '3' }, plain: { type: 'boolean' } },
})
const FOLDER = join(import.meta.dirname, 'results/random-models')
/** Memory that is given back goes in the background. */
const SETTLE_MS = 3000

type Row = Record<string, string | number>

async function measure(service: string, model: string, dir: string): Promise<Row[]> {
  const prefix = service.toUpperCase()
  const env = {
    ...(values.plain ? {} : ALLOCATOR),
    [`${prefix}_PORT`]: '0',
    [`${prefix}_PRELOAD`]: 'lazy',
    [`${prefix}_MODEL_DIR`]: dir,
    [`${prefix}_COLD_HOLD_MS`]: '3600000',
    // A batch makes the warm-up longer, and the runtime's scratch memory larger.
    [`${prefix}_MAX_BATCH_SIZE`]: '1',
  }
  const child = spawnNode([join(ROOT, `services/${service}/src/main.ts`)], {
    ...process.env,
    ...env,
    LOG_LEVEL: 'info',
    HEARTH_HOME: FOLDER,
  })
  const base = `http://127.0.0.1:${await portOf(child)}`
  const rss = async () => {
    await new Promise((done) => setTimeout(done, SETTLE_MS))
    return round((await costOf(child.pid ?? 0)).rssMb, 0)
  }
  const before = await rss()
  const rows: Row[] = []
  for (let at = 1; at <= Number(values.rounds); at++) {
    const loaded = await call(base, 'POST', rss)
    const unloaded = await call(base, 'DELETE', rss)
    rows.push({ service, model, round: at, 'before MB': before, 'loaded MB': loaded, 'unloaded MB': unloaded })
  }
  child.kill()
  await once(child, 'exit')
  return rows
}

async function portOf({ stdout }: ReturnType<typeof spawnNode>): Promise<number> {
  const found = Promise.withResolvers<number>()
  let log = ''
  stdout?.on('data', (chunk) => {
    const [, port] = /"port":(\d+),"msg":"listening"/.exec((log += String(chunk))) ?? []
    if (port !== undefined) found.resolve(Number(port))
  })
  return found.promise
}

async function call(base: string, method: string, rss: () => Promise<number>): Promise<number> {
  const [{ id } = { id: '' }] = ((await (await fetch(`${base}/v1/models`)).json()) as { data: { id: string }[] }).data
  const answer = await fetch(`${base}/api/ps/${id}`, { method })
  if (!answer.ok) throw new Error(`${method} was answered ${answer.status}: ${await answer.text()}`)
  return rss()
}

const minilm = join(FOLDER, 'minilm')
await writeMiniLm(minilm, join(ROOT, 'models/demo/minilm'))
const rows: Row[] = []
for (const [service, model, dir] of [
  ['embeddings', 'MiniLM-L6 shapes, fp32', minilm],
  ['tts', values.kokoro ?? 'demo', values.kokoro ?? join(ROOT, 'models/demo/kokoro')],
  ['stt', 'Whisper base shapes, fp32', await randomWhisper(FOLDER, 'base', false)],
] as const) {
  rows.push(...(await measure(service, model, dir)))
  await show('unload', rows)
}
