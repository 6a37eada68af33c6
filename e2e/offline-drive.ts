/**
 * What offline.e2e.ts runs where there is no network: starts the stack, speaks to it once, and prints what it saw as one line of JSON. A hub
 * that counts who asks is at a loopback address; with `--away` the hub is the real one, which can't be reached.
 *
 *   node offline-drive.ts <HF_HOME> [--away]
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import { GenerateReply, ReadyReport } from '@hearth/shared/api'
import { SERVICES } from '../scripts/stack.ts'
import { recordingPath } from './spoken.ts'
import { startStack, untilTrue } from './stack.ts'
import type { Stack } from './stack.ts'
import type { Seen } from './offline.e2e.ts'

const [home = '', away] = process.argv.slice(2)
const asked: string[] = []
const hub = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`)
  response.writeHead(500).end()
})
await once(hub.listen(0, '127.0.0.1'), 'listening')
const address = hub.address()
if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
const endpoint = away === '--away' ? '' : `http://127.0.0.1:${address.port}`

const stack = await startStack({ env: { HF_HOME: home, HF_ENDPOINT: endpoint, HF_HUB_OFFLINE: '' } })
try {
  process.stdout.write(`${JSON.stringify(await look(stack))}\n`)
} finally {
  await stack.stop()
  hub.close()
}

async function look(running: Stack): Promise<Seen> {
  const { url } = running
  const body = new FormData()
  body.set('file', new File([readFileSync(recordingPath('016.wav'))], '016.wav', { type: 'audio/wav' }))
  const answer = await fetch(`${url.orchestrator}/generate`, { method: 'POST', body })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`expected an answer to a spoken turn, got ${answer.status}: ${text}`)
  const ready = async (service: (typeof SERVICES)[number]) =>
    ReadyReport.parse(await (await fetch(`${url[service]}/ready`)).json())
  // Optional models are nobody's to wait for, but here.
  await untilTrue(async () => (await ready('orchestrator')).models.every(({ state }) => state === 'ready'))
  return {
    interfaces: Object.keys(networkInterfaces()),
    turn: GenerateReply.parse(JSON.parse(text)),
    reports: await Promise.all(SERVICES.map(ready)),
    asked,
    output: running.output(),
  }
}
