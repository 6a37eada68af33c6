/** Replicas that join and leave while people talk and jobs run: nobody's request fails, no job is lost or heard twice, and all replicas work. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { composeProject } from '../compose.ts'
import type { Compose } from '../compose.ts'
import { untilTrue } from '../until-true.ts'
import { hubSettings } from './hub.ts'
import { lookAtJob, submitJob } from './jobs.ts'
import { startLoad } from './load.ts'
import { served } from './served.ts'

const JOBS = 100
/** Requests between two changes. */
const BETWEEN = 120

let stack: Compose

beforeAll(async () => {
  stack = await composeProject({ settings: await hubSettings() })
  await stack.up()
})
afterAll(() => stack?.remove())

const scale = (stt: number, tts: number, embeddings: number) =>
  stack.up('--no-recreate', '--scale', `stt=${stt}`, '--scale', `tts=${tts}`, '--scale', `embeddings=${embeddings}`)

test('replicas join and leave under load without a failed request, and share the work', async () => {
  const load = startLoad(stack.url)
  await load.goOn(BETWEEN)
  await scale(3, 2, 2)
  const since = new Date().toISOString()
  await load.goOn(3 * BETWEEN)
  for (const [service, route, replicas] of [
    ['stt', '/v1/audio/transcriptions', 3],
    ['tts', '/v1/audio/speech', 2],
    ['embeddings', '/v1/embeddings', 2],
  ] as const) {
    const counts = await served(stack, service, route, since)
    const fair = counts.reduce((sum, count) => sum + count, 0) / replicas
    console.log(`${service}: ${counts.join(', ')} of ${load.count()} requests`)
    expect(counts).toHaveLength(replicas)
    for (const count of counts) expect(count).toBeGreaterThan(fair / 3)
  }
  for (const [stt, tts, embeddings] of [
    [1, 1, 1],
    [2, 2, 2],
    [1, 1, 1],
  ] as const) {
    await scale(stt, tts, embeddings)
    await load.goOn(BETWEEN)
  }
  await load.stop()
  console.log(`${load.count()} requests, ${load.failures.length} failed`)
  expect(load.failures).toEqual([])
})

test('no job is lost or heard twice while replicas come and go', async () => {
  const before = await jobsHeard()
  const ids = new Set<string>()
  const changes = [3, 1, 2].map((replicas) => () => scale(replicas, 1, 1))
  for (const change of changes) {
    const changed = change()
    for (let count = 0; count < JOBS / 2; count++) ids.add((await submitJob(stack.url)).id)
    await changed
  }
  const ended = async (id: string) => /completed|failed/.test((await lookAtJob(stack.url, id)).status)
  for (const id of ids) await untilTrue(() => ended(id))
  const jobs = await Promise.all([...ids].map((id) => lookAtJob(stack.url, id)))
  expect(jobs.filter(({ status }) => status !== 'completed')).toEqual([])
  expect(new Set(jobs.map(({ result }) => result?.text)).size).toBe(1)
  const heard = (await jobsHeard()) - before
  console.log(`${jobs.length} jobs, heard ${heard} times`)
  expect(heard).toBe(jobs.length)
})

/** How often a replica's answer became a job's result. */
async function jobsHeard(): Promise<number> {
  const metrics = await (await fetch(`${stack.url}/metrics`)).text()
  return Number(/^hearth_job_run_seconds_count\{[^}]*priority="bulk"[^}]*\} (\d+)$/m.exec(metrics)?.[1] ?? 0)
}

test('a replica that is killed fails nobody while others are there', async () => {
  await scale(2, 2, 2)
  const load = startLoad(stack.url)
  await load.goOn(BETWEEN)
  for (const service of ['stt', 'tts', 'embeddings']) {
    await stack.run('exec', '-T', '--index', '1', service, 'sh', '-c', 'kill -9 -1').catch(() => {})
    await load.goOn(BETWEEN)
    await stack.untilHealthy()
  }
  await load.stop()
  expect(load.failures).toEqual([])
})
