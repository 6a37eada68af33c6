/** What clients, speakers and turns do at the same moment, or in an order that nobody planned. */
import { expect, test } from 'vitest'
import { client, done, run, SERVER_VAD, speech, turn } from '../testing/play-session.ts'
import type { Effect, SessionEvent, SessionState } from './session-state.ts'

type Given = Parameters<typeof run>[number]

const TEXT = 'One two three four.'
/** A turn that is asked for and answered with 10 s of sound. */
const ANSWER: Given[] = [
  turn({ type: 'reply.delta', text: TEXT }),
  turn({ type: 'fragment', text: TEXT, ms: 10_000 }),
  turn({ type: 'audio', delta: '', ms: 10_000 }),
]
const ASK: Given[] = [client({ type: 'response.create' })]
const write = (id: string, text: string) =>
  client({
    type: 'conversation.item.create',
    item: { id, type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
  })
const received = (totalMs: number): SessionEvent => ({ type: 'received', totalMs })
/** Nobody spoke. */
const COUGH: Given[] = [speech('started', 500), { ...speech('stopped', 900), speechMs: 310 } as SessionEvent]
const lastReply = (state: SessionState): string =>
  state.items.findLast((item) => item.type === 'message' && item.role === 'assistant')?.id ?? ''
const truncate = (endMs: number) => (state: SessionState) =>
  client({
    type: 'conversation.item.truncate',
    item_id: lastReply(state),
    content_index: 0,
    audio_end_ms: endMs,
  })
const played = (state: SessionState): SessionEvent => ({
  type: 'alarm',
  kind: 'played',
  responseId: state.lastResponse ?? '',
})

const ordersOf = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'respond' ? [effect.order] : []))
const keptOf = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'settle' ? [effect.exchange] : []))
const replyOf = ({ items }: SessionState) => items.find((item) => item.type === 'message' && item.role === 'assistant')

test('the oldest of very long items go', () => {
  const long = 'x'.repeat(1_000_000)
  const { state } = run(...Array.from({ length: 9 }, (_one, at) => write(`q${at}`, long)))
  expect(state.items.map(({ id }) => id)).toEqual(['q5', 'q6', 'q7', 'q8'])
})

test('settings that are sent again while somebody speaks do not lose what is said', () => {
  const again = client({
    type: 'session.update',
    session: {
      instructions: 'Be brief.',
      audio: {
        input: { turn_detection: SERVER_VAD },
      },
    },
  })
  const { state, effects } = run(received(1000), speech('started', 500), again)
  expect(state.utterance).not.toBeNull()
  expect(effects.map(({ type }) => type)).not.toContain('listen-anew')
})

test('a voice is taken back with null', () => {
  const voice = (id: string | null) => client({ type: 'session.update', session: { audio: { output: { voice: id } } } })
  expect(run(voice('anna')).state.config.reply.voice).toBe('anna')
  expect(run(voice('anna'), voice(null)).state.config.reply.voice).toBeUndefined()
})

test('a reply that the client has silenced does not go on after a cough', () => {
  const { effects } = run(
    received(3000),
    write('q', 'Count.'),
    ...ASK,
    ...ANSWER,
    client({ type: 'response.cancel' }),
    ...COUGH,
    turn({ type: 'transcript', text: '' }),
  )
  expect(ordersOf(effects).map(({ recite }) => recite)).toEqual([null, null])
})

test('what the client says was heard is not guessed anew when speech begins', () => {
  const { state } = run(received(3000), ...ASK, ...ANSWER, turn(done), truncate(9000), speech('started', 500))
  expect(replyOf(state)).toMatchObject({ text: 'One two three' })
})

test('a written reply has no sound to cut', () => {
  const { state, told } = run(
    client({ type: 'response.create', response: { output_modalities: ['text'] } }),
    turn({ type: 'reply.delta', text: TEXT }),
    turn(done),
    truncate(0),
  )
  expect(told.at(-1)).toBe('error')
  expect(replyOf(state)).toMatchObject({ text: TEXT })
})

test('a response beside the conversation leaves alone the reply that is still heard', () => {
  const apart = client({ type: 'response.create', response: { conversation: 'none', output_modalities: ['text'] } })
  const { state, effects } = run(
    received(9000),
    write('q', 'Count.'),
    ...ASK,
    ...ANSWER,
    turn(done),
    apart,
    turn({ type: 'reply.delta', text: 'A title' }),
    turn(done),
    speech('started', 500),
  )
  expect(keptOf(effects)).toEqual([])
  expect(replyOf(state)).toMatchObject({ status: 'incomplete', text: 'One two' })
})

test('an alarm of the conversation still counts after a response beside it', () => {
  const apart = client({ type: 'response.create', response: { conversation: 'none' } })
  const { effects } = run(write('q', 'Count.'), ...ASK, ...ANSWER, turn(done), apart, turn(done), played)
  expect(keptOf(effects)).toEqual([{ user: 'Count.', reply: TEXT }])
})

test('the sound that a response brings itself is heard, before it is asked for', () => {
  const { effects } = run(
    client({
      type: 'response.create',
      response: {
        conversation: 'none',
        input: [{ type: 'message', role: 'user', content: [{ type: 'input_audio', audio: 'AAAA' }] }],
      },
    }),
  )
  const [order] = ordersOf(effects)
  expect(effects.map(({ type }) => type)).toEqual(['hear-given', 'send', 'respond'])
  expect(effects[0]).toMatchObject({ itemId: order?.soundOf, base64: 'AAAA' })
})

test('a second reply to one question is kept as that alone', () => {
  const { effects } = run(write('q', 'Count.'), ...ASK, ...ANSWER, turn(done), ...ASK, ...ANSWER, turn(done), played)
  expect(keptOf(effects)).toEqual([
    { user: 'Count.', reply: TEXT },
    { user: '', reply: TEXT },
  ])
})

test('what is written while what was said is still being heard is answered with it', () => {
  const said = [received(3000), speech('started', 500), speech('stopped', 2500)]
  const { told, effects, state } = run(...said, write('q', 'In one word.'), ...ASK)
  expect(told).not.toContain('error')
  expect(effects.filter(({ type }) => type === 'stop')).toHaveLength(1)
  expect(ordersOf(effects).at(-1)).toMatchObject({ soundOf: null, items: state.items })
  expect(state.items).toHaveLength(2)
})

test('what a function gave is answered after a cough', () => {
  const gave = client({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: 'c', output: 'rain' },
  })
  const { effects } = run(received(3000), gave, ...ASK, ...COUGH)
  expect(ordersOf(effects)).toHaveLength(2)
})

test.each<[string, Given]>([
  ['the one before it turns out to be silence', turn({ type: 'transcript', text: '' })],
  ['the client cancels the one before it', client({ type: 'response.cancel' })],
])('what was said while an answer was made is answered when %s', (_what, over) => {
  const keepTalking = client({
    type: 'session.update',
    session: {
      audio: {
        input: { turn_detection: { ...SERVER_VAD, interrupt_response: false } },
      },
    },
  })
  const twice = [speech('started', 500), speech('stopped', 1500), speech('started', 1600), speech('stopped', 2600)]
  const { effects } = run(received(0), keepTalking, received(3000), ...twice, over)
  expect(ordersOf(effects)).toHaveLength(2)
})
