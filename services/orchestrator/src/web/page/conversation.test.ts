import { describe, expect, test } from 'vitest'
import { EMPTY, next, phaseOf } from './conversation.ts'
import type { Conversation, Effect, PageEvent } from './conversation.ts'
import type { ServerEvent, TurnReport } from './server-events.ts'

type Event = ServerEvent | PageEvent

function follow(...events: Event[]) {
  let conversation: Conversation = EMPTY
  const effects: Effect[] = []
  const phases: string[] = []
  for (const event of events) {
    const step = next(conversation, event)
    conversation = step.conversation
    effects.push(...step.effects)
    phases.push(phaseOf(conversation))
  }
  const texts = conversation.entries.map(({ role, text, state }) => [role, text, state])
  return { conversation, effects, phases, texts }
}

const TURN: TurnReport = {
  turn: 't1',
  status: 'completed',
  timings: { firstAudioMs: 80 },
  waterfall: [],
  memories: [],
  models: { stt: null, embeddings: null, llm: 'm', tts: null },
  degraded: [],
}

const started: Event = { type: 'input_audio_buffer.speech_started', audio_start_ms: 0, item_id: 'u1' }
const stopped: Event = { type: 'input_audio_buffer.speech_stopped', audio_end_ms: 900, item_id: 'u1' }
const caption = (delta: string): Event => ({
  type: 'conversation.item.input_audio_transcription.delta',
  item_id: 'u1',
  delta,
})
const heard = (transcript: string): Event => ({
  type: 'conversation.item.input_audio_transcription.completed',
  item_id: 'u1',
  transcript,
})
const created: Event = { type: 'response.created', response: { id: 'r1' } }
const words = (delta: string): Event => ({
  type: 'response.output_audio_transcript.delta',
  response_id: 'r1',
  item_id: 'a1',
  delta,
})
const sound: Event = { type: 'response.output_audio.delta', response_id: 'r1', item_id: 'a1', delta: 'AAA=' }
const done = (status: string, message?: string): Event => ({
  type: 'response.done',
  response: { id: 'r1', status, ...(message !== undefined && { status_details: { error: { message } } }) },
})
const playing: Event = { type: 'page.playing', isPlaying: true }
const quiet: Event = { type: 'page.playing', isPlaying: false }

describe('a spoken turn', () => {
  test('grows word by word, is answered, and rests', () => {
    const { texts, phases, effects } = follow(
      started,
      caption('What '),
      caption('is my name'),
      stopped,
      heard('What is my name?'),
      created,
      words('Your name '),
      sound,
      playing,
      words('is Anna.'),
      done('completed'),
      quiet,
      { type: 'hearth.turn', response_id: 'r1', ...TURN },
    )
    expect(texts).toEqual([
      ['user', 'What is my name?', 'done'],
      ['assistant', 'Your name is Anna.', 'done'],
    ])
    expect(phases).toEqual(
      'hearing hearing hearing idle idle thinking thinking thinking speaking speaking speaking idle idle'.split(' '),
    )
    expect(effects.map(({ type }) => type)).toEqual(
      'speech began,speech ended,announce,play,announce,report'.split(','),
    )
  })

  test('that nobody spoke in leaves no trace', () => {
    expect(follow(started, caption('Uh'), stopped, heard(' ')).texts).toEqual([])
  })

  test('that could not be heard says so', () => {
    const failed: Event = {
      type: 'conversation.item.input_audio_transcription.failed',
      item_id: 'u1',
      error: { message: 'stt is away' },
    }
    const { conversation } = follow(started, stopped, failed)
    expect(conversation.entries).toMatchObject([{ state: 'failed', note: 'stt is away' }])
  })

  test('is known by its item although the end is told before the words', () => {
    const { texts } = follow(
      { type: 'input_audio_buffer.committed', item_id: 'u1' },
      created,
      words('Hello.'),
      heard('Hi.'),
    )
    expect(texts).toEqual([
      ['user', 'Hi.', 'done'],
      ['assistant', 'Hello.', 'growing'],
    ])
  })
})

describe('barge-in', () => {
  const speaking = [created, words('Once upon'), sound, playing]

  test('speech ends the sound at once, and what still comes of it stays silent', () => {
    const { effects, texts, phases } = follow(...speaking, started, sound, done('cancelled'))
    expect(effects.map(({ type }) => type)).toEqual(['play', 'interrupt', 'speech began'])
    expect(texts[0]).toEqual(['assistant', 'Once upon', 'cut'])
    expect(phases.at(-1)).toBe('hearing')
  })

  test('also after the reply has been made, while it is still being heard', () => {
    const { effects } = follow(...speaking, done('completed'), started)
    expect(effects.map(({ type }) => type)).toEqual(['play', 'announce', 'interrupt', 'speech began'])
  })

  test('so does a press of the button, or the wish for silence', () => {
    for (const event of [{ type: 'page.recording', isRecording: true }, { type: 'page.stopped' }] as const)
      expect(follow(...speaking, event).effects.map(({ type }) => type)).toEqual(['play', 'interrupt'])
  })

  test('speech into silence interrupts nothing', () => {
    expect(follow(started).effects).toEqual([{ type: 'speech began', atMs: 0 }])
    expect(follow(...speaking, done('completed'), quiet, started).effects.map(({ type }) => type)).toEqual([
      'play',
      'announce',
      'speech began',
    ])
  })

  test('the next reply is heard again', () => {
    const again: Event = { ...sound, response_id: 'r2', item_id: 'a2' }
    const { effects } = follow(
      ...speaking,
      started,
      done('cancelled'),
      stopped,
      { ...created, response: { id: 'r2' } },
      again,
    )
    expect(effects.at(-1)).toEqual({ type: 'play', itemId: 'a2', audio: 'AAA=' })
  })

  test('the text becomes what was heard of it', () => {
    const cut: Event = {
      type: 'response.output_item.done',
      response_id: 'r1',
      item: {
        id: 'a1',
        type: 'message',
        role: 'assistant',
        status: 'incomplete',
        content: [{ type: 'audio', transcript: 'Once' }],
      },
    }
    expect(follow(...speaking, started, cut, done('cancelled')).texts[0]).toEqual(['assistant', 'Once', 'cut'])
  })
})

test('a typed text stands at once, and is not doubled by the server’s word for it', () => {
  const { texts } = follow(
    { type: 'page.typed', id: 'u1', text: 'Hi.' },
    { type: 'conversation.item.added', item: { id: 'u1', type: 'message', role: 'user' } },
  )
  expect(texts).toEqual([['user', 'Hi.', 'done']])
})

test('a reply that fails says why, with or without a word of it', () => {
  expect(follow(created, words('Well'), done('failed', 'no model')).conversation.entries).toMatchObject([
    { text: 'Well', state: 'failed', note: 'no model' },
  ])
  expect(follow(created, done('failed', 'no model')).effects).toEqual([{ type: 'notice', text: 'no model' }])
})

test('a report stands with its reply, and is told', () => {
  const { conversation, effects } = follow(created, words('Hi.'), done('completed'), {
    type: 'hearth.turn',
    response_id: 'r1',
    ...TURN,
  })
  expect(conversation.entries[0]?.turn).toMatchObject(TURN)
  expect(effects.at(-1)).toMatchObject({ type: 'report', turn: TURN })
})

test('a broken connection ends what was growing', () => {
  const { texts, phases } = follow(started, caption('What'), created, words('Y'), { type: 'page.disconnected' })
  expect(texts.map(([, , state]) => state)).toEqual(['cut', 'cut'])
  expect(phases.at(-1)).toBe('idle')
  expect(
    follow({ type: 'page.typed', id: 'u1', text: 'Hi.' }, { type: 'page.disconnected' }).conversation.entries,
  ).toMatchObject([{ text: 'Hi.', state: 'failed', note: 'The connection broke before this was answered.' }])
})

test('what was kept of a session stands as it was said', () => {
  const exchanges = [
    { user: 'One.', reply: 'Two.' },
    { user: '', reply: 'Three.' },
  ]
  expect(follow(started, { type: 'page.opened', exchanges }).texts).toEqual([
    ['user', 'One.', 'done'],
    ['assistant', 'Two.', 'done'],
    ['assistant', 'Three.', 'done'],
  ])
})

test('events that the page does not know change nothing', () => {
  const { conversation, effects } = follow({ type: 'session.created' }, JSON.parse('{"type":"rate_limits.updated"}'))
  expect([conversation, effects]).toEqual([EMPTY, []])
})
