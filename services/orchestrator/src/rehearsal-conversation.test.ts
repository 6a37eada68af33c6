import { createServer } from 'node:http'
import { once } from 'node:events'
import { afterEach, expect, test, vi } from 'vitest'
import { holdConversation } from './rehearsal-conversation.ts'
import { startRealtime } from './testing/realtime-stack.ts'

let stack: Awaited<ReturnType<typeof startRealtime>> | undefined
afterEach(async () => {
  vi.unstubAllGlobals()
  await stack?.stop()
  stack = undefined
})

const SPEECH = { samples: new Float32Array(12_000).fill(0.3), sampleRateHz: 24_000 }

test('a sentence is heard and answered over the socket, and then forgotten', async () => {
  stack = await startRealtime()
  const forgotten = vi.fn<typeof fetch>(async () => new Response())
  vi.stubGlobal('fetch', forgotten)
  const base = `http://127.0.0.1:${stack.port}`
  await holdConversation({ base, headers: {} }, SPEECH, new AbortController().signal)
  expect(stack.prompts).toMatchObject([{ user: 'Good morning.' }])
  expect(forgotten.mock.calls[0]).toMatchObject([`${base}/sessions/rehearsal?user=rehearsal`, { method: 'DELETE' }])
})

test('where nobody converses it is given up', async () => {
  const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const base = `http://127.0.0.1:${port}`
  await expect(holdConversation({ base, headers: {} }, SPEECH, new AbortController().signal)).rejects.toThrow('200')
  server.close()
})
