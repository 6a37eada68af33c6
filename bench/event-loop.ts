/**
 * The longest pause of each service's event loop while it works: the goal is below 20 ms, because inference has threads of its own.
 *
 *   npm run bench -- event-loop [--port 8080] [--seconds 20]
 */
import { parseArgs } from 'node:util'
import { round, show } from './figures.ts'
import { embed, generate, speak, SPEECH, transcribe } from './requests.ts'
import { SERVICES } from '../scripts/stack.ts'
import { benchStack, type BenchStack } from './stack.ts'

const { values } = parseArgs({ options: { port: { type: 'string' }, seconds: { type: 'string', default: '20' } } })

/** The gauge that each scrape of `/metrics` resets: seconds of the longest pause since the scrape before. */
async function longestPauseMs(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text()
  const found = /^hearth_event_loop_delay_max_seconds(?:\{[^}]*\})? (\S+)$/m.exec(text)
  return Number(found?.[1]) * 1000
}

async function load(stack: BenchStack, until: number): Promise<number> {
  let done = 0
  const kinds = [
    () => generate(stack, `${SPEECH}/008.wav`),
    () => transcribe(stack, `${SPEECH}/012.wav`, 'en'),
    () => speak(stack, 'One moment please. I am looking for it now, and it will not take long.'),
    () => embed(stack, 'Bread and milk are on the shopping list.'),
  ]
  const client = async (request: () => Promise<unknown>) => {
    for (; performance.now() < until; done++) await request()
  }
  await Promise.all([...kinds, ...kinds].map(client))
  return done
}

const stack = await benchStack(values.port)
try {
  await Promise.all(SERVICES.map((service) => longestPauseMs(stack.url[service])))
  const requests = await load(stack, performance.now() + 1000 * Number(values.seconds))
  const rows = []
  for (const service of SERVICES)
    rows.push({
      service,
      'longest pause ms': round(await longestPauseMs(stack.url[service])),
      'requests in all': requests,
    })
  await show('event-loop', rows)
} finally {
  await stack.stop()
}
