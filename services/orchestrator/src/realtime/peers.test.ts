/**
 * The events that other people's clients send, in their order, and what they require of the answers: read from the sources of pipecat
 * (services/openai/realtime/events.py, which refuses any type it does not know) and of LiveKit's agents (plugins/openai/realtime).
 */
import { afterEach, describe, expect, test } from 'vitest'
import { loudPcm, silentPcm, startRealtime } from '../testing/realtime-stack.ts'
import type { Client, Told } from '../testing/realtime-stack.ts'
import type { Stages } from '../turn-events.ts'

let stack: Awaited<ReturnType<typeof startRealtime>>
afterEach(async () => stack.stop())

const AT = ['response_id', 'item_id', 'output_index', 'content_index']
const ITEM = ['item.id', 'item.type']

/** Fields without which pipecat's models refuse an event, by the types that it knows. */
const PIPECAT: Readonly<Record<string, readonly string[]>> = {
  error: ['error.type', 'error.message'],
  'session.created': ['session'],
  'session.updated': ['session'],
  'input_audio_buffer.committed': ['item_id'],
  'input_audio_buffer.cleared': [],
  'input_audio_buffer.speech_started': ['audio_start_ms', 'item_id'],
  'input_audio_buffer.speech_stopped': ['audio_end_ms', 'item_id'],
  'conversation.item.added': ITEM,
  'conversation.item.done': ITEM,
  'conversation.item.input_audio_transcription.delta': ['item_id', 'content_index', 'delta'],
  'conversation.item.input_audio_transcription.completed': ['item_id', 'content_index', 'transcript'],
  'conversation.item.input_audio_transcription.failed': ['item_id', 'content_index', 'error.type', 'error.message'],
  'conversation.item.truncated': ['item_id', 'content_index', 'audio_end_ms'],
  'conversation.item.deleted': ['item_id'],
  'conversation.item.retrieved': ITEM,
  'response.created': ['response.id', 'response.object', 'response.status', 'response.output'],
  'response.done': ['response.id', 'response.object', 'response.status', 'response.output'],
  'response.output_item.added': ['response_id', 'output_index', ...ITEM],
  'response.output_item.done': ['response_id', 'output_index', ...ITEM],
  'response.content_part.added': [...AT, 'part.type'],
  'response.content_part.done': [...AT, 'part.type'],
  'response.output_text.delta': [...AT, 'delta'],
  'response.output_text.done': [...AT, 'text'],
  'response.output_audio_transcript.delta': [...AT, 'delta'],
  'response.output_audio_transcript.done': [...AT, 'transcript'],
  'response.output_audio.delta': [...AT, 'delta'],
  'response.output_audio.done': AT,
  'response.function_call_arguments.delta': ['response_id', 'item_id', 'output_index', 'call_id', 'delta'],
  'response.function_call_arguments.done': ['response_id', 'item_id', 'output_index', 'call_id', 'arguments'],
}

function valueAt(event: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | null)?.[name], event)
}

function expectKnown(events: readonly Told[]): void {
  for (const event of events) {
    const required = PIPECAT[event.type]
    expect(required, `pipecat does not know ${event.type}`).toBeDefined()
    for (const path of ['event_id', ...(required ?? [])])
      expect(valueAt(event, path), `${event.type} ${path}`).not.toBeNullable()
  }
}

/** Asks for one function, and then tells what it gave. */
const calling: Stages['llm'] = {
  name: 'fake/mind',
  async *reply(prompt) {
    if (prompt.results) yield { text: 'It rains in Brno.', model: 'fake/mind' }
    else yield { text: '', model: 'fake/mind', toolCalls: [{ id: 'call_1', name: 'weather', args: '{}' }] }
  },
}

const FUNCTION = {
  type: 'function',
  name: 'weather',
  description: 'Tells it.',
  parameters: { type: 'object', properties: {} },
}

async function speak(client: Client): Promise<Told> {
  const before = client.events.length
  client.send({ type: 'input_audio_buffer.append', event_id: 'a', audio: loudPcm(400) })
  client.send({ type: 'input_audio_buffer.append', event_id: 'b', audio: silentPcm(600) })
  return client.until('response.done', before)
}

describe('pipecat', () => {
  test('holds a conversation with a function', async () => {
    stack = await startRealtime({ llm: calling })
    const client = await stack.connect('?model=gpt-realtime-2025-08-28')
    client.send({
      type: 'session.update',
      event_id: '0b8f2a52-5b6c-4a58-9df2-8f2e7f4f1f11',
      session: {
        type: 'realtime',
        output_modalities: ['audio'],
        instructions: 'You are helpful.',
        audio: {
          input: {
            format: { type: 'audio/pcm', rate: 24_000 },
            transcription: { model: 'gpt-4o-transcribe', language: 'en', prompt: null },
            turn_detection: { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 },
          },
          output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'alloy', speed: 1 },
        },
        tools: [FUNCTION],
        tool_choice: 'auto',
        max_output_tokens: 'inf',
      },
    })
    const message = { id: 'c0ffee', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello.' }] }
    client.send({ type: 'conversation.item.create', event_id: 'c', item: message })
    const response = { output_modalities: ['audio'], instructions: null, temperature: null, max_output_tokens: null }
    const asked = await client.respond(response)
    expect(asked['response']).toMatchObject({ output: [{ type: 'function_call', name: 'weather' }] })
    const item = { id: 'beef', type: 'function_call_output', call_id: 'call_1', output: '"rain"' }
    client.send({ type: 'conversation.item.create', event_id: 'd', item })
    await client.respond()
    await speak(client)
    const { item_id } = await client.until('response.output_audio.delta')
    client.send({ type: 'conversation.item.truncate', event_id: 'e', item_id, content_index: 0, audio_end_ms: 1 })
    await client.until('conversation.item.truncated')
    client.send({ type: 'input_audio_buffer.clear', event_id: 'f' })
    await client.until('input_audio_buffer.cleared')
    expect(client.types()).not.toContain('error')
    expectKnown(client.events)
  })

  test('transcribes without a model, after an update of its GA form', async () => {
    stack = await startRealtime()
    const client = await stack.connect('?intent=transcription')
    client.send({
      type: 'session.update',
      session: {
        type: 'transcription',
        audio: {
          input: {
            format: { type: 'audio/pcm', rate: 24_000 },
            transcription: { model: 'gpt-4o-transcribe', language: 'en' },
            turn_detection: null,
            noise_reduction: { type: 'near_field' },
          },
        },
      },
    })
    await client.until('session.updated')
    client.send({ type: 'input_audio_buffer.append', audio: loudPcm(400) })
    client.send({ type: 'input_audio_buffer.commit' })
    const heard = await client.until('conversation.item.input_audio_transcription.completed')
    expect(heard).toMatchObject({ transcript: 'Good morning.' })
    expectKnown(client.events)
  })
})

describe('LiveKit', () => {
  test('keeps its chat in step, generates replies, and interrupts', async () => {
    stack = await startRealtime()
    const client = await stack.connect('?model=gpt-realtime')
    client.send({
      type: 'session.update',
      event_id: 'session_update_1',
      session: {
        type: 'realtime',
        model: 'gpt-realtime',
        output_modalities: ['audio'],
        audio: {
          input: {
            format: { type: 'audio/pcm', rate: 24_000 },
            noise_reduction: null,
            transcription: { model: 'gpt-4o-mini-transcribe' },
            turn_detection: {
              type: 'semantic_vad',
              create_response: true,
              eagerness: 'medium',
              interrupt_response: true,
            },
          },
          output: { format: { type: 'audio/pcm', rate: 24_000 }, speed: 1, voice: 'marin' },
        },
        max_output_tokens: 'inf',
        tool_choice: 'auto',
        tracing: null,
      },
    })
    client.send({
      type: 'session.update',
      event_id: 'tools_update_1',
      session: { type: 'realtime', tools: [FUNCTION] },
    })
    // The same id is deleted and created anew when its text changes.
    const create = (text: string, event_id: string) =>
      client.send({
        type: 'conversation.item.create',
        event_id,
        previous_item_id: 'root',
        item: { id: 'item_lk', type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
      })
    create('Hello.', 'chat_ctx_create_1')
    client.send({ type: 'conversation.item.delete', event_id: 'chat_ctx_delete_1', item_id: 'item_lk' })
    create('Good evening.', 'chat_ctx_create_2')
    client.send({ type: 'conversation.item.delete', event_id: 'chat_ctx_delete_2', item_id: 'item_gone' })
    expect((await client.until('error'))['error']).toMatchObject({ event_id: 'chat_ctx_delete_2' })
    const metadata = { client_event_id: 'response_create_1' }
    const done = await client.respond({ instructions: 'Greet.', metadata })
    const created = await client.until('response.created')
    expect(created['response']).toMatchObject({ metadata })
    expect(done['response']).toMatchObject({ status: 'completed', usage: { input_tokens: 0, output_tokens: 0 } })
    const before = client.events.length
    client.send({ type: 'response.cancel' })
    const refused = await client.until('error', before)
    // By these words it knows that there was nothing to cancel.
    expect(refused['error']).toMatchObject({ message: expect.stringMatching(/^Cancellation failed/) })
    expectInPlace(client.events)
    expect(stack.prompts).toMatchObject([{ user: 'Good evening.', instructions: 'Greet.' }])
  })
})

/** LiveKit mirrors the list of items from `previous_item_id`, and files deltas under items that were added before. */
function expectInPlace(events: readonly Told[]): void {
  const known = new Set<unknown>([null])
  const lost = events.filter((event) => {
    if (event.type !== 'conversation.item.added') return event.type.endsWith('.delta') && !known.has(event['item_id'])
    const isLost = !known.has(event['previous_item_id'])
    known.add(valueAt(event, 'item.id'))
    return isLost
  })
  expect(lost).toEqual([])
}
