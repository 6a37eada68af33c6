import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ServerEvent } from './server-events.ts'
import { next } from './session.ts'
import { phaseOf } from './session-state.ts'
import type { Effect, SessionEvent, SessionState, TurnNews } from './session-state.ts'
import { begin, client, done, run, sentBy, speech, turn } from '../testing/play-session.ts'
import type { ClientTold } from '../testing/play-session.ts'

const HEARD_TURN = [
  { type: 'received', totalMs: 3000 },
  speech('started', 500),
  speech('stopped', 2500),
] as const satisfies SessionEvent[]

const PATIENT = {
  type: 'server_vad',
  threshold: 0.7,
  prefix_padding_ms: 300,
  silence_duration_ms: 900,
  idle_timeout_ms: null,
  create_response: true,
  interrupt_response: true,
} as const
type Hearing = Omit<typeof PATIENT, 'idle_timeout_ms'> & { readonly idle_timeout_ms: number | null }
const hearing = (turn_detection: Hearing | null) =>
  client({ type: 'session.update', session: { audio: { input: { turn_detection } } } })

const TELEPHONE = client({ type: 'session.update', session: { audio: { input: { format: { type: 'audio/pcmu' } } } } })

describe('the phases of a session', () => {
  test.each<[string, Parameters<typeof run>]>([
    ['listening', []],
    ['hearing', [{ type: 'received', totalMs: 1000 }, speech('started', 500)]],
    ['thinking', [...HEARD_TURN]],
    ['thinking', [...HEARD_TURN, turn({ type: 'reply.delta', text: 'Well' })]],
    ['speaking', [...HEARD_TURN, turn({ type: 'audio', delta: '', ms: 100 })]],
    ['listening', [...HEARD_TURN, turn(done)]],
    ['listening', [...HEARD_TURN, turn({ type: 'transcript', text: '' })]],
    ['hearing', [...HEARD_TURN, turn({ type: 'audio', delta: '', ms: 100 }), speech('started', 2900)]],
    ['closed', [...HEARD_TURN, { type: 'closed' }]],
  ])('%s', (phase, events) => {
    expect(phaseOf(run(...events).state)).toBe(phase)
  })
})

describe('what a session wants done', () => {
  test.each<[string, Parameters<typeof run>, readonly Effect['type'][]]>([
    ['a pause begins a guess', [speech('started', 0), speech('paused', 900)], ['send', 'guess']],
    [
      'going on ends it',
      [speech('started', 0), speech('paused', 900), speech('resumed', 1000)],
      ['send', 'guess', 'forget-guess'],
    ],
    [
      'a fourth pause is not worth one',
      [speech('started', 0), ...[1, 2, 3, 4].map((at) => speech('paused', at * 900))],
      ['send', 'guess', 'guess', 'guess'],
    ],
    [
      'a commit by hand hears all of the sound, and begins to listen anew',
      [{ type: 'received', totalMs: 1000 }, client({ type: 'input_audio_buffer.commit' })],
      ['send', 'send', 'send', 'hear', 'listen-anew'],
    ],
    [
      'a clear forgets it',
      [{ type: 'received', totalMs: 1000 }, client({ type: 'input_audio_buffer.clear' })],
      ['forget-guess', 'forget-sound', 'listen-anew', 'send'],
    ],
    [
      'other settings of hearing hold for an utterance under way',
      [{ type: 'received', totalMs: 1000 }, speech('started', 500), hearing(PATIENT)],
      ['send', 'send', 'forget-guess', 'listen-on'],
    ],
    [
      'the end of the connection stops the work',
      [client({ type: 'response.create' }), { type: 'closed' }],
      ['send', 'respond', 'stop', 'send', 'alarm', 'forget-guess'],
    ],
    ['after the end nothing happens', [{ type: 'closed' }, client({ type: 'response.create' })], ['forget-guess']],
  ])('%s', (_what, events, wanted) => {
    expect(run(...events).effects.map(({ type }) => type)).toEqual(wanted)
  })

  test.each<[string, Parameters<typeof run>, number]>([
    ['another patience', [hearing(PATIENT), speech('stopped', 2500)], 2500],
    ['none, and a commit', [hearing(null), client({ type: 'input_audio_buffer.commit' })], 3000],
    ['a telephone', [TELEPHONE, speech('stopped', 2500)], 2500],
  ])('an utterance keeps its item and its sound: %s', (_what, events, toMs) => {
    const { effects } = run({ type: 'received', totalMs: 3000 }, speech('started', 500), ...events)
    const [begun] = sentBy(effects).flatMap((event) =>
      event.type === 'input_audio_buffer.speech_started' ? [event.item_id] : [],
    )
    const heard = effects.find((effect) => effect.type === 'hear')
    // Of what the detector ended, only speech and a little more is heard.
    expect(heard).toMatchObject({ itemId: begun, fromMs: 500, toMs: Math.min(toMs, toMs === 3000 ? 3000 : 1800) })
    expect(sentBy(effects).filter(({ type }) => type === 'input_audio_buffer.committed')).toMatchObject([
      { item_id: begun },
    ])
  })

  test.each([
    ['soon', 520, 1820],
    // Its speech is counted from there.
    ['late', 1400, 2700],
  ])('an utterance that is found again, %s, is heard to the end of its speech', (_when, foundMs, toMs) => {
    const { effects, told } = run(
      { type: 'received', totalMs: 3000 },
      speech('started', 500),
      hearing(null),
      hearing(PATIENT),
      speech('started', foundMs),
      speech('stopped', 2900),
    )
    expect(told.filter((type) => type === 'input_audio_buffer.speech_started')).toHaveLength(1)
    expect(effects.find(({ type }) => type === 'hear')).toMatchObject({ fromMs: 500, toMs })
  })

  test('silence means nothing any more when the client commits from then on', () => {
    const alarm = (state: SessionState): SessionEvent => ({
      type: 'alarm',
      kind: 'idle',
      responseId: state.lastResponse ?? '',
    })
    const answered = [client({ type: 'response.create' }), turn(done)]
    const waiting = hearing({ ...PATIENT, idle_timeout_ms: 5000 })
    expect(run(waiting, ...answered, alarm).told).toContain('input_audio_buffer.timeout_triggered')
    const { told, state } = run(waiting, ...answered, hearing(null), { type: 'received', totalMs: 4000 }, alarm)
    expect(told).not.toContain('input_audio_buffer.timeout_triggered')
    expect(state.sound.fromMs).toBe(0)
  })

  test('a response that waits for its words can be cancelled, and is told to be', () => {
    const { told, effects } = run(...HEARD_TURN, client({ type: 'response.cancel' }))
    expect(told.slice(-2)).toEqual(['response.created', 'response.done'])
    expect(sentBy(effects).at(-1)).toMatchObject({
      response: { status: 'cancelled', status_details: { type: 'cancelled', reason: 'client_cancelled' } },
    })
    expect(effects.map(({ type }) => type)).toContain('stop')
  })

  test('an answer begun on trust is none yet: there is nothing to cancel', () => {
    const { told, effects } = run(speech('started', 0), speech('paused', 900), client({ type: 'response.cancel' }))
    expect(told.at(-1)).toBe('error')
    expect(sentBy(effects).at(-1)).toMatchObject({ error: { code: 'response_cancel_not_active' } })
    expect(effects.map(({ type }) => type)).not.toContain('forget-guess')
  })

  test('what a turn tells too late is not told', () => {
    const late: SessionEvent = { type: 'turn', responseId: 'resp_of_another', news: { type: 'reply.delta', text: 'x' } }
    expect(run(client({ type: 'response.create' }), late).told).toEqual(['response.created'])
  })

  test('the words of the last sound reach the order only through its hearing', () => {
    const { effects, state } = run(...HEARD_TURN)
    const order = effects.find((effect) => effect.type === 'respond')?.order
    expect(order).toMatchObject({ soundOf: state.items[0]?.id, recite: null, isApart: false })
  })

  test('an exchange is kept once it can not be truncated any more', () => {
    const text = 'One two three four.'
    const spoken: TurnNews[] = [
      { type: 'fragment', text, ms: 1900 },
      { type: 'audio', delta: '', ms: 1900 },
    ]
    const told = [
      turn({ type: 'transcript', text: 'Count.' }),
      turn({ type: 'reply.delta', text }),
      ...spoken.map(turn),
    ]
    const heard = (state: SessionState): SessionEvent => ({
      type: 'heard',
      itemId: state.items[0]?.id ?? '',
      text: 'Count.',
      seconds: 2,
    })
    const truncated = (state: SessionState) =>
      client({
        type: 'conversation.item.truncate',
        item_id: state.items[1]?.id ?? '',
        content_index: 0,
        audio_end_ms: 850,
      })
    const played = (state: SessionState): SessionEvent => ({
      type: 'alarm',
      kind: 'played',
      responseId: state.lastResponse ?? '',
    })
    const { effects } = run(...HEARD_TURN, heard, ...told, turn(done), truncated, played)
    expect(effects.filter(({ type }) => type === 'settle')).toEqual([
      { type: 'settle', exchange: { user: 'Count.', reply: 'One two' } },
    ])
  })
})

const SEMANTIC = {
  type: 'semantic_vad',
  eagerness: 'low',
  create_response: true,
  interrupt_response: true,
} as const

/** Anything that can happen, in any order; numbers choose among what there is by then. */
const happening = fc.oneof(
  fc.constantFrom<ClientTold>(
    client({ type: 'response.create' }),
    client({ type: 'response.create', response: { conversation: 'none' } }),
    client({ type: 'response.cancel' }),
    client({ type: 'input_audio_buffer.commit' }),
    client({ type: 'input_audio_buffer.clear' }),
    client({ type: 'session.update', session: { audio: { input: { turn_detection: null } } } }),
    client({ type: 'session.update', session: { audio: { input: { turn_detection: PATIENT } } } }),
    client({
      type: 'session.update',
      session: { audio: { input: { turn_detection: { ...PATIENT, idle_timeout_ms: 5000 } } } },
    }),
    client({ type: 'session.update', session: { audio: { input: { turn_detection: SEMANTIC } } } }),
    client({ type: 'session.update', session: { audio: { input: { format: { type: 'audio/pcmu' } } } } }),
    client({ type: 'session.update', session: { output_modalities: ['text'] } }),
    client({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi.' }] },
    }),
  ),
  fc.record({
    kind: fc.constantFrom('started', 'paused', 'resumed', 'stopped'),
    speechMs: fc.constantFrom(310, 1000),
  }),
  fc.record({
    kind: fc.constant('turn'),
    which: fc.nat(50),
    news: fc.constantFrom<TurnNews>(
      { type: 'transcript', text: 'Hello.' },
      { type: 'transcript', text: '' },
      { type: 'reply.delta', text: 'Well, hello. ' },
      { type: 'fragment', text: 'Well, hello.', ms: 900 },
      { type: 'audio', delta: 'AAAA', ms: 100 },
      { type: 'tool_calls', calls: [{ id: 'c', name: 'f', args: '{}' }] },
      done,
      { type: 'failed', fault: { type: 'server_error', code: 'stage_failed', message: 'it broke', param: null } },
    ),
  }),
  fc.record({ kind: fc.constantFrom('heard', 'delete', 'truncate', 'played', 'idle'), which: fc.nat(50) }),
)
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

function eventOf(happens: Happening, state: SessionState, orders: readonly string[], atMs: number): SessionEvent {
  if (!('kind' in happens)) return happens
  if ('speechMs' in happens) return { type: 'speech', what: happens.kind, atMs, speechMs: happens.speechMs }
  const responseId = orders[happens.which % Math.max(1, orders.length)] ?? 'resp_none'
  const item_id = state.items[happens.which % Math.max(1, state.items.length)]?.id ?? 'item_none'
  if ('news' in happens) return { type: 'turn', responseId, news: happens.news }
  if (happens.kind === 'heard') return { type: 'heard', itemId: item_id, text: 'Hello.', seconds: 1 }
  if (happens.kind === 'delete') return client({ type: 'conversation.item.delete', item_id })
  if (happens.kind === 'truncate')
    return client({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 500 })
  return { type: 'alarm', kind: happens.kind === 'played' ? 'played' : 'idle', responseId }
}

/** Everything that is sent when all that happens, and then the connection ends. */
function sentWhen(happenings: readonly Happening[]): ServerEvent[] {
  let state = begin()
  let atMs = 0
  const orders: string[] = []
  const sent: ServerEvent[] = []
  const take = (event: SessionEvent) => {
    const { state: moved, effects } = next(state, event, atMs)
    state = moved
    for (const effect of effects) if (effect.type === 'respond') orders.push(effect.order.responseId)
    sent.push(...sentBy(effects))
  }
  for (const happens of happenings) {
    atMs += 200
    take({ type: 'received', totalMs: atMs })
    take(eventOf(happens, state, orders, atMs))
  }
  take({ type: 'closed' })
  return sent
}

const always = (holds: (sent: readonly ServerEvent[]) => void) =>
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => holds(sentWhen(happenings))),
    { numRuns: 500 },
  )
const responseOf = (event: ServerEvent): string | undefined =>
  'response_id' in event ? event.response_id : 'response' in event ? event.response.id : undefined

describe('whatever happens', () => {
  test('every response that is begun ends, once, and nothing of it is told after that', () => {
    always((sent) => {
      const live = new Set<string>()
      const over = new Set<string>()
      for (const event of sent) {
        const id = responseOf(event)
        if (id === undefined || event.type === 'hearth.turn') continue
        expect(over.has(id)).toBe(false)
        if (event.type === 'response.created') live.add(id)
        expect(live.has(id)).toBe(true)
        if (event.type === 'response.done') {
          over.add(id)
          live.delete(id)
        }
        expect(live.size).toBeLessThanOrEqual(1)
      }
      expect(live.size).toBe(0)
    })
  })

  test('no two items and no two responses have one id', () => {
    always((sent) => {
      const items = sent.flatMap((event) => (event.type === 'conversation.item.added' ? [idOf(event.item)] : []))
      const responses = sent.flatMap((event) => (event.type === 'response.created' ? [event.response.id] : []))
      expect(new Set([...items, ...responses]).size).toBe(items.length + responses.length)
    })
  })

  test('the times of speech never go back', () => {
    always((sent) => {
      const times = sent.flatMap((event) =>
        event.type === 'input_audio_buffer.speech_started'
          ? [event.audio_start_ms]
          : event.type === 'input_audio_buffer.speech_stopped'
            ? [event.audio_end_ms]
            : [],
      )
      expect(times).toEqual(times.toSorted((one, other) => one - other))
    })
  })

  test('what somebody began to say becomes an item, whatever is set meanwhile, unless the client clears it', () => {
    always((sent) => {
      const lost: string[] = []
      let open: string | null = null
      for (const event of sent) {
        const isCommit = event.type === 'input_audio_buffer.committed'
        const isStart = event.type === 'input_audio_buffer.speech_started'
        if (open !== null && (isStart || (isCommit && event.item_id !== open))) lost.push(open)
        if (isStart) open = event.item_id
        if (isCommit || event.type === 'input_audio_buffer.cleared') open = null
      }
      expect(lost).toEqual([])
    })
  })

  test('every item of a response that is opened is closed', () => {
    always((sent) => {
      const count = (type: string) => sent.filter((event) => event.type === type).length
      expect(count('response.output_item.done')).toBe(count('response.output_item.added'))
      expect(count('response.content_part.done')).toBe(count('response.content_part.added'))
    })
  })
})

const idOf = (item: object): string => ('id' in item ? String(item.id) : '')
