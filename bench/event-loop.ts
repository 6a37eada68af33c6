/**
 * The longest pause of each service's event loop while it works for four clients: the goal is below 20 ms, because inference has threads of its
 * own. The last rows load everything at once, far past what two cores can do: there the pauses are the scheduler's.
 *
 *   npm run bench -- event-loop [--port 8080] [--seconds 8]
 */
import { parseArgs } from 'node:util'
import { round, show } from './figures.ts'
import { embed, generate, speak, SPEECH, transcribe } from './requests.ts'
import { SERVICES } from '../scripts/stack.ts'
import { benchStack, type BenchStack } from './stack.ts'

const { values } = parseArgs({ options: { port: { type: 'string' }, seconds: { type: 'string', default: '8' } } })

/** The gauge that each scrape of `/metrics` resets: seconds of the longest pause since the scrape before. */
async function longestPauseMs(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text()
  const found = /^hearth_event_loop_delay_max_seconds(?:\{[^}]*\})? (\S+)$/m.exec(text)
  return Number(found?.[1]) * 1000
}

const requests: Record<(typeof SERVICES)[number], (stack: BenchStack) => Promise<unknown>> = {
  orchestrator: (stack) => generate(stack, `${SPEECH}/008.wav`),
  stt: (stack) => transcribe(stack, `${SPEECH}/012.wav`, 'en'),
  tts: (stack) => speak(stack, 'One moment please. I am looking for it now, and it will not take long.'),
  embeddings: (stack) => embed(stack, 'Bread and milk are on the shopping list.'),
}

/** Four clients for each of `services`, one request after another; gives how many were answered. */
async function load(stack: BenchStack, services: readonly (typeof SERVICES)[number][]): Promise<number> {
  const until = performance.now() + 1000 * Number(values.seconds)
  let done = 0
  const client = async (service: (typeof SERVICES)[number]) => {
    for (; performance.now() < until; done++) await requests[service](stack)
  }
  await Promise.all(services.flatMap((service) => Array.from({ length: 4 }, () => client(service))))
  return done
}

/** The pauses of `services` while they are under load. */
async function measure(stack: BenchStack, name: string, services: readonly (typeof SERVICES)[number][]) {
  const reset = () => Promise.all(services.map((service) => longestPauseMs(stack.url[service])))
  await reset()
  const answered = await load(stack, services)
  const pauses = await reset()
  return services.map((service, at) => ({
    load: name,
    service,
    'longest pause ms': round(pauses[at] ?? Number.NaN),
    'requests in all': answered,
  }))
}

const stack = await benchStack(values.port)
try {
  const rows = []
  for (const service of SERVICES) rows.push(...(await measure(stack, 'alone', [service])))
  rows.push(...(await measure(stack, 'all at once', SERVICES)))
  await show('event-loop', rows)
} finally {
  await stack.stop()
}
