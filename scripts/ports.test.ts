import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { PORT_REMEDY, portProblems, stackPorts } from './ports.ts'

test('the stack listens from 8080 when nothing is set', () => {
  const expected = { orchestrator: 8080, stt: 8081, tts: 8082, embeddings: 8083, redis: 8084 }
  expect(stackPorts(undefined)).toEqual(expected)
  expect(stackPorts('')).toEqual(expected)
})

test('one setting moves all five ports', () => {
  expect(stackPorts('9000')).toEqual({ orchestrator: 9000, stt: 9001, tts: 9002, embeddings: 9003, redis: 9004 })
  expect(stackPorts('65531').redis).toBe(65_535)
})

test.each(['0', '-1', '80.5', 'http', '65532', '99999'])('%s is refused with the name of the setting', (setting) => {
  expect(() => stackPorts(setting)).toThrow(`HEARTH_PORT: expected a whole number from 1 to 65531, got "${setting}"`)
})

test.each(['127.0.0.1', '0.0.0.0', undefined])(
  'a port held on %s is one line naming port, part and setting',
  async (host) => {
    const server = createServer()
    await once(server.listen({ port: 0, host }), 'listening')
    const { port } = server.address() as AddressInfo
    const ports = { orchestrator: port, stt: port, tts: port, embeddings: port, redis: port }
    const problems = await portProblems(ports).finally(() => server.close())
    expect(problems).toHaveLength(5)
    expect(problems[1]).toBe(`Port ${port} is in use, and stt needs it: ${PORT_REMEDY}.`)
  },
)

test('free ports are no problem', async () => {
  const free = await freePorts(5)
  const [orchestrator = 0, stt = 0, tts = 0, embeddings = 0, redis = 0] = free
  expect(await portProblems({ orchestrator, stt, tts, embeddings, redis })).toEqual([])
})

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(servers.map((server) => once(server.listen(0), 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
