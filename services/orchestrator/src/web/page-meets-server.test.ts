/** Where the page reads what the server really writes. */
import { createMetrics } from '@hearth/shared/telemetry'
import { expect, test } from 'vitest'
import { addQueueMetrics } from '../jobs/metrics.ts'
import { turnApp } from '../testing/turn-app.ts'
import { EMPTY, next } from './page/conversation.ts'
import type { Conversation } from './page/conversation.ts'
import { eventsOf } from './page/event-stream.ts'
import { asServerEvents } from './page/generate-turn.ts'
import { decodePcm16 } from './page/pcm.ts'
import { queueDepth } from './page/queue-depth.ts'

async function* textOf(response: Response) {
  yield await response.text()
}

test('a turn of the real route is shown like one of the socket: words, sound, report', async () => {
  const response = await turnApp().ask({ text: 'Hi.', session: 's' }, 'text/event-stream')
  let conversation: Conversation = EMPTY
  let samples = 0
  for await (const event of asServerEvents(eventsOf(textOf(response)), 'r1')) {
    const step = next(conversation, event)
    conversation = step.conversation
    for (const effect of step.effects) if (effect.type === 'play') samples += decodePcm16(effect.audio).length
  }
  expect(conversation.responseId).toBeNull()
  expect(conversation.entries).toMatchObject([
    {
      role: 'assistant',
      text: 'Hello there, Anna. How are you?',
      state: 'done',
      turn: { memories: [{ text: 'My name is Anna.' }], degraded: [], models: { llm: 'fake/mind' } },
    },
  ])
  expect(samples).toBe('Hello there, Anna.How are you?'.length)
})

test('reads the depth out of what /metrics really says', async () => {
  const metrics = createMetrics('test')
  const counts = { waiting: 2, prioritized: 3, delayed: 1, active: 4, completed: 90, failed: 5 }
  addQueueMetrics(metrics, { figures: async () => ({ counts, oldestAt: null }) })
  expect(queueDepth(await metrics.registry.metrics())).toEqual({ waiting: 6, active: 4, failed: 5 })
})

test('where there is no queue there is no depth', async () => {
  expect(queueDepth(await createMetrics('test').registry.metrics())).toBeNull()
})
