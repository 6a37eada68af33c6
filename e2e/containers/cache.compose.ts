/** The model cache on its volume: filled by several replicas at once, each file fetched once, and never again after `down` and `up`. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { composeProject } from '../compose.ts'
import type { Compose } from '../compose.ts'
import { startHub } from './hub.ts'
import type { Hub } from './hub.ts'

let hub: Hub
let stack: Compose

beforeAll(async () => {
  hub = await startHub('whisper')
  const settings = { HF_HUB_OFFLINE: '0', HF_ENDPOINT: hub.endpoint }
  stack = await composeProject({ settings, only: ['stt'] })
})
afterAll(async () => {
  await stack?.remove()
  await hub?.close()
})

const Ready = z.object({ models: z.array(z.object({ id: z.string(), source: z.string() })) })

async function sources(): Promise<string[]> {
  const ask = "fetch('http://127.0.0.1:8081/ready').then((a) => a.text()).then(console.log)"
  const replicas = await stack.containers('stt')
  const answers = await Promise.all(
    replicas.map((_, at) => stack.run('exec', '-T', '--index', `${at + 1}`, 'stt', 'node', '-e', ask)),
  )
  return answers.flatMap((answer) => Ready.parse(JSON.parse(answer)).models.map(({ id, source }) => `${id} ${source}`))
}

test('three replicas that start together on an empty volume fetch each file once', async () => {
  await stack.up('--scale', 'stt=3')
  expect(new Set(hub.sent).size).toBeGreaterThan(4)
  expect(hub.sent.toSorted()).toEqual([...new Set(hub.sent)].toSorted())
  for (const source of await sources()) expect(source).toMatch(/^onnx-community\/whisper-base (hub|cache)$/)
})

test('after `down` and `up` nothing is fetched, also when the hub is away', async () => {
  const before = hub.sent.length
  await stack.run('down')
  await stack.up('--scale', 'stt=2')
  expect(hub.sent.length).toBe(before)
  await stack.run('down')
  await hub.close()
  await stack.up()
  expect(await sources()).toEqual(['onnx-community/whisper-base cache'])
})
