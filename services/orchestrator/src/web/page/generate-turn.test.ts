import { expect, test } from 'vitest'
import { asServerEvents } from './generate-turn.ts'

async function* of(...events: [name: string, data: object][]) {
  for (const [name, data] of events) yield { name, data: JSON.stringify(data) }
}

test('an error, and an end without a word, are a reply that failed', async () => {
  const failed = await Array.fromAsync(asServerEvents(of(['error', { error: { message: 'no model' } }]), 'r1'))
  expect(failed.at(-1)).toMatchObject({
    response: { status: 'failed', status_details: { error: { message: 'no model' } } },
  })
  const broken = await Array.fromAsync(asServerEvents(of(['reply.delta', { text: 'Hel' }]), 'r1'))
  expect(broken.at(-1)).toMatchObject({ response: { id: 'r1', status: 'failed' } })
})
