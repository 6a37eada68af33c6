/**
 * Speech to text: the engine at the real shapes against transformers.js (goal: 3 times as fast at 3 s with the fitted window, 1.3 without; a
 * batch of four 1.5 and 1.1 times one by one), and the service with the models it finds (a lone request waits at most 1 ms, `/health` p99
 * below 20 ms under load, live clients at real time). Whether memory grows: `--only live --live 600`, with nothing else running.
 *
 *   npm run bench -- stt [--only engines|service|live] [--size tiny|base] [--rounds 7] [--threads 2] [--whisper-cpp <its whisper-cli>]
 *       [--live 60] [--port 8080]
 *
 * Moonshine of the same size stands beside Whisper. A round of the base shapes takes a minute, so it has at most three.
 */
import { parseArgs } from 'node:util'
import { show } from './figures.ts'
import { benchStack } from './stack.ts'
import { benchEngines } from './stt-engines.ts'
import { benchHealth, benchLive, benchLone } from './stt-service.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    size: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
    'whisper-cpp': { type: 'string' },
    live: { type: 'string', default: '60' },
    port: { type: 'string' },
  },
})

if (values.only === undefined || values.only === 'engines') {
  for (const size of ['tiny', 'base'] as const) {
    const rounds = Math.min(Number(values.rounds), size === 'base' ? 3 : Infinity)
    const options = { rounds, threads: Number(values.threads), cpp: values['whisper-cpp'] }
    if ((values.size ?? size) === size) await show(`stt-engines-${size}`, await benchEngines(size, options))
  }
}

if (values.only !== 'engines') {
  const stack = await benchStack(values.port)
  try {
    if (values.only !== 'live') {
      await show('stt-lone', [await benchLone(stack)])
      await show('stt-health', [await benchHealth(stack, 10)])
    }
    await show('stt-live', [await benchLive(stack, Number(values.live))])
  } finally {
    await stack.stop()
  }
}
