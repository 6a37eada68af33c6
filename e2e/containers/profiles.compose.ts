/** The profiles: metrics of every replica in Prometheus, what the dashboard asks of it, and https with an authority of our own. */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { composeProject, docker, freePort } from '../compose.ts'
import type { Compose } from '../compose.ts'
import { ROOT, untilTrue } from '../until-true.ts'
import { hubSettings } from './hub.ts'
import { submitJob } from './jobs.ts'
import { startLoad } from './load.ts'

const KEY = 'a-key-for-these-tests-only'
const dashboardPath = join(ROOT, 'deploy/compose/grafana/dashboards/hearth.json')
const Dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
})

let stack: Compose
let httpsPort: number

beforeAll(async () => {
  httpsPort = await freePort()
  const settings = { ...(await hubSettings()), HTTPS_PORT: `${httpsPort}`, GRAFANA_PORT: `${await freePort()}` }
  stack = await composeProject({ settings, only: ['orchestrator', 'caddy', 'prometheus'] })
  await stack.up()
})
afterAll(() => stack?.remove())

const Answer = z.object({ status: z.literal('success'), data: z.unknown() })

/** From inside: Prometheus has no published port. */
async function prometheus(path: string): Promise<unknown> {
  const ask = `fetch('http://prometheus:9090${path}').then((a) => a.text()).then(console.log)`
  return Answer.parse(JSON.parse(await stack.run('exec', '-T', 'orchestrator', 'node', '-e', ask))).data
}

describe('the profile `observability`', () => {
  const Targets = z.object({
    activeTargets: z.array(z.object({ health: z.string(), labels: z.object({ job: z.string() }) })),
  })

  test('asks every replica of every service for its metrics', async () => {
    await stack.run('up', '--detach', '--no-recreate', '--scale', 'stt=2', 'stt')
    const wanted = ['embeddings', 'orchestrator', 'stt', 'stt', 'tts']
    const healthy = async () => {
      const { activeTargets } = Targets.parse(await prometheus('/api/v1/targets'))
      return activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels.job)
    }
    await untilTrue(async () => (await healthy()).length === wanted.length, 500)
    expect((await healthy()).toSorted()).toEqual(wanted)
  })

  test('has an answer for each panel of the dashboard once people talk', async () => {
    const load = startLoad(stack.url)
    await submitJob(stack.url)
    const { panels } = Dashboard.parse(JSON.parse(readFileSync(dashboardPath, 'utf8')))
    const Series = z.object({ result: z.array(z.unknown()) })
    // Nothing fails here, so of that there is nothing to show.
    const queries = panels.filter(({ title }) => !title.startsWith('Refused')).flatMap(({ targets }) => targets)
    for (const { expr } of queries) {
      const query = encodeURIComponent(expr.replaceAll('$__rate_interval', '1m'))
      await untilTrue(
        async () => Series.parse(await prometheus(`/api/v1/query?query=${query}`)).result.length > 0,
        1000,
      )
    }
    await load.stop()
    expect(panels.length).toBeGreaterThan(10)
  })
})

describe('the profile `https`', () => {
  async function ask(path: string, ca: string): Promise<{ status: number | undefined; body: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>()
    get(
      {
        host: '127.0.0.1',
        servername: 'localhost',
        headers: { host: 'localhost' },
        port: httpsPort,
        path,
        ca,
        timeout: 5000,
      },
      (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode, body }), reject)
      },
    ).on('error', reject)
    return promise
  }
  const root = () => stack.run('exec', '-T', 'caddy', 'cat', '/data/caddy/pki/authorities/local/root.crt')

  test('serves the orchestrator with a certificate of its own authority', async () => {
    const { status, body } = await ask('/', await root())
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ name: 'hearth' })
    await expect(ask('/', '')).rejects.toThrow(/self.signed|unable to|certificate/i)
  })

  test('keeps its authority when it is made anew, so that a phone that trusts it goes on to', async () => {
    const before = await root()
    await stack.run('up', '--detach', '--force-recreate', '--no-deps', 'caddy')
    await untilTrue(async () => (await ask('/', before).catch(() => null))?.status === 200, 500)
    expect(await root()).toBe(before)
  })
})

test('with an API key, Prometheus asks with it', async () => {
  const keyed = await composeProject({
    settings: { ...(await hubSettings()), HEARTH_API_KEY: KEY },
    only: ['orchestrator', 'prometheus'],
  })
  try {
    await keyed.up()
    const ask = "fetch('http://prometheus:9090/api/v1/query?query=up').then((a) => a.text()).then(console.log)"
    const isUp = async () =>
      /"job":"orchestrator"[^\]]*\[[\d.]+,"1"\]/.test(await keyed.run('exec', '-T', 'orchestrator', 'node', '-e', ask))
    await untilTrue(isUp, 500)
    expect((await fetch(`${keyed.url}/metrics`)).status).toBe(401)
    const [container] = await keyed.containers('stt')
    expect(await docker(['inspect', '--format', '{{.Config.Env}}', container?.ID ?? ''])).not.toContain(KEY)
  } finally {
    await keyed.remove()
  }
})
