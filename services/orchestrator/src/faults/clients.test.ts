/** Clients that leave, read slowly, or fall silent in the middle of a turn (F33 to F35). */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, FaultStackOptions } from '../testing/fault-stack.ts'
import { until } from '../testing/redis-server.ts'

let stack: FaultStack
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  return stack.close()
})

const live = () => AbortSignal.timeout(10_000)
const line = (content: string) => `${JSON.stringify({ message: { role: 'assistant', content }, done: false })}\n`

/** A language model that says one sentence and then goes on for ever, and a voice that never begins. */
async function setUp(options: FaultStackOptions = {}): Promise<FaultStack> {
  stack = await startFaultStack(options)
  const words = line('One two three four. ')
  stack.ollama.good = () => ({ type: 'application/x-ndjson', body: Buffer.from(words + ' '.repeat(words.length)) })
  stack.ollama.mode = 'stall'
  stack.tts.mode = 'hang'
  return stack
}

const isUnderWay = () => stack.ollama.open() === 1 && stack.tts.open() === 1

function request(accept: string, signal: AbortSignal): RequestInit {
  const headers = { 'content-type': 'application/json', accept }
  return { method: 'POST', headers, body: '{"text":"My name is Anna.","session":"s1"}', signal }
}

/** Both services were let go, nothing was kept of the turn, and its place and session are free for a good one. */
async function expectUnharmed(): Promise<void> {
  await until(() => stack.open() === 0, live())
  expect(await stack.history('s1')).toEqual([])
  expect(stack.warnings()).toBe('[]')
  const { ollama, tts } = stack
  ollama.good = () => ({ type: 'application/x-ndjson', body: Buffer.from(line(REPLY).replace('false', 'true')) })
  ollama.mode = 'ok'
  tts.mode = 'ok'
  expect(await stack.ask({ text: 'Hi.' })).toMatchObject({ status: 200, body: { reply: REPLY, degraded: [] } })
  expect(ollama.asked.at(-1)?.body).not.toContain('Anna')
}

test('who leaves a stream of events ends the language model and the voice, and the turn is cancelled', async () => {
  const { base } = await setUp()
  const client = new AbortController()
  const response = await fetch(`${base}/generate`, request('text/event-stream', client.signal))
  await until(isUnderWay, live())
  expect((await stack.ask({ text: 'Hi.' })).status).toBe(429)
  client.abort()
  await until(() => stack.open() === 0, live())
  const turn = await (await fetch(`${base}/turns/${response.headers.get('x-turn')}`)).json()
  expect(turn).toMatchObject({ status: 'cancelled', error: 'cancelled', reply: 'One two three four. ' })
  await expectUnharmed()
})

test.each(['application/json', 'audio/wav', 'audio/pcm'])('so does who leaves while waiting for %s', async (accept) => {
  const { base } = await setUp()
  const client = new AbortController()
  const response = fetch(`${base}/generate`, request(accept, client.signal)).catch(() => 'left')
  await until(isUnderWay, live())
  client.abort()
  expect(await response).toBe('left')
  await expectUnharmed()
})

test('who leaves a chat ends both too', async () => {
  const { base } = await setUp()
  const client = new AbortController()
  const body = JSON.stringify({
    model: 'm',
    messages: [{ role: 'user', content: 'Hi.' }],
    modalities: ['text', 'audio'],
    audio: { voice: 'af_demo', format: 'pcm16' },
    stream: true,
  })
  stack.tts.isCalm = ({ path }) => path === '/v1/audio/voices'
  stack.tts.calm = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(VOICES)
  await fetch(`${base}/v1/chat/completions`, { ...request('*/*', client.signal), body })
  await until(isUnderWay, live())
  client.abort()
  await expectUnharmed()
})
const VOICES = '{"voices":[{"id":"af_demo"}]}'

/** Asks for a turn and then reads nothing. */
function askAndFallSilent(accept: string): Socket {
  const body = '{"text":"Tell me all.","session":"slow"}'
  const head = `POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\naccept: ${accept}\r\n`
  const socket = connect({ port: stack.port, host: '127.0.0.1' })
  sockets.push(socket)
  socket.on('error', () => {})
  socket.pause()
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`)
  return socket
}

test('who stops reading a long reply is let go after the limit for a stall; others meanwhile are served', async () => {
  const { ask, ollama } = await setUp({ limits: { stallTimeout: 1000 }, maxTurns: 2 })
  stack.tts.mode = 'ok'
  stack.tts.good = () => ({ type: 'audio/pcm', body: Buffer.alloc(1_000_000) })
  let isWaiting = false
  ollama.isCalm = ({ body }) => body.includes('Tell me all.')
  ollama.calm = (response) => {
    const more = line('And one more sentence to be read aloud. '.repeat(100))
    const write = (): void => {
      while (response.write(more));
      isWaiting = true
      response.once('drain', write)
    }
    write()
  }
  askAndFallSilent('text/event-stream')
  await until(() => isWaiting, live())
  ollama.good = () => ({ type: 'application/x-ndjson', body: Buffer.from(line(REPLY).replace('false', 'true')) })
  ollama.mode = 'ok'
  expect(await ask({ text: 'Hi.' })).toMatchObject({ status: 200, body: { reply: REPLY } })
  await until(() => stack.open() === 0, live())
  expect(await stack.history('slow')).toEqual([])
  expect(await ask({ text: 'Hi.', session: 'slow' })).toMatchObject({ status: 200 })
}, 30_000)

test('who falls silent holds no place once a short reply is made', async () => {
  const { ask, ollama, tts } = await setUp()
  ollama.good = () => ({ type: 'application/x-ndjson', body: Buffer.from(line(REPLY).replace('false', 'true')) })
  ollama.mode = 'ok'
  tts.mode = 'ok'
  askAndFallSilent('application/json')
  await until(async () => (await ask({ text: 'Hi.', session: 'slow' })).status === 200, live())
  expect(await stack.history('slow')).toHaveLength(2)
})
