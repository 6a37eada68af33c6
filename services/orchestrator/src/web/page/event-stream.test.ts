import { expect, test } from 'vitest'
import { eventsOf } from './event-stream.ts'

async function* inPieces(text: string, length: number) {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length)
}

const STREAM = 'event: reply.delta\ndata: {"text":"Hé"}\n\n: still here\n\ndata: [DONE]\n\nevent: half\ndata: x'

test.each([1, 3, 1000])('events are whole whatever the pieces (%i)', async (length) => {
  const events = await Array.fromAsync(eventsOf(inPieces(STREAM, length)))
  expect(events).toEqual([
    { name: 'reply.delta', data: '{"text":"Hé"}' },
    { name: 'message', data: '[DONE]' },
  ])
})
