/** What was said, as a list that grows in place: an element is made once for each entry and only its changes are written. */
import type { Conversation, Entry } from './conversation.ts'
import { phaseOf } from './conversation.ts'
import { byId, make } from './dom.ts'
import type { TurnReport } from './server-events.ts'
import { duration } from './waterfall.ts'

type Shown = { entry: Entry; readonly item: HTMLLIElement; readonly text: HTMLElement; meta: HTMLElement }

export type TalkMode = 'button' | 'hands-free' | 'paused'

const HINTS = {
  idle: {
    button: 'Hold or tap to talk. The space bar works too.',
    'hands-free': 'Say something, or press to pause.',
    paused: 'Paused. Press to be heard again.',
  },
  hearing: { button: 'Listening', 'hands-free': 'Listening', paused: 'Paused' },
  thinking: { button: 'Thinking', 'hands-free': 'Thinking', paused: 'Thinking' },
  speaking: {
    button: 'Speaking. Press to cut in.',
    'hands-free': 'Speaking. Just talk to cut in.',
    paused: 'Speaking',
  },
} as const

/** `onTurn` hears whose timing the reader wants to see. */
export function conversationView(onTurn: (turn: TurnReport) => void) {
  const list = byId('entries', HTMLOListElement)
  const scroll = byId('scroll', HTMLDivElement)
  const shown = new Map<string, Shown>()

  return (now: Conversation, mode: TalkMode): void => {
    const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80
    const ids = new Set(now.entries.map(({ id }) => id))
    for (const [id, { item }] of shown) if (!ids.has(id) && shown.delete(id)) item.remove()
    for (const entry of now.entries) {
      const known = shown.get(entry.id) ?? add(entry)
      if (known.entry !== entry) update(known, entry)
    }
    byId('welcome', HTMLDivElement).hidden = now.entries.length > 0
    if (isAtEnd) scroll.scrollTop = scroll.scrollHeight
    const phase = phaseOf(now)
    byId('talk', HTMLButtonElement).dataset['phase'] = phase
    byId('hint', HTMLParagraphElement).textContent = HINTS[phase][mode]
    byId('silence', HTMLButtonElement).disabled = now.responseId === null && !now.isPlaying
  }

  function add(entry: Entry): Shown {
    const text = make('div', { class: 'text' })
    const meta = make('div', { class: 'meta' })
    const who = make('span', { class: 'unseen' }, entry.role === 'user' ? 'You: ' : 'Hearth: ')
    const item = make('li', {}, who, text, meta)
    list.append(item)
    const made = { entry, item, text, meta }
    shown.set(entry.id, made)
    update(made, entry)
    return made
  }

  function update(at: Shown, entry: Entry): void {
    at.item.className = `entry ${entry.role} ${entry.state}`
    if (at.text.textContent !== entry.text) at.text.textContent = entry.text
    if (entry.turn !== at.entry.turn || entry.note !== at.entry.note) {
      const meta = metaOf(entry, onTurn)
      at.meta.replaceWith(meta)
      at.meta = meta
    }
    at.entry = entry
  }
}

function metaOf({ note, turn }: Entry, onTurn: (turn: TurnReport) => void): HTMLElement {
  if (note !== '' || turn === null) return make('div', { class: 'meta' }, note)
  const { timings, memories, degraded, status } = turn
  const totalMs = timings['totalMs'] ?? 0
  const facts = [
    status === 'cancelled' ? `cut off after ${duration(totalMs)}` : '',
    timings['firstAudioMs'] !== undefined ? `${duration(timings['firstAudioMs'])} to first sound` : '',
    memories.length > 0 ? `${memories.length} ${memories.length === 1 ? 'memory' : 'memories'}` : '',
    degraded.length > 0 ? `without ${degraded.join(', ')}` : '',
  ]
  const button = make(
    'button',
    { type: 'button', class: 'meta', title: 'Show where its time went' },
    facts.filter(Boolean).join(' · ') || 'Timing',
  )
  button.addEventListener('click', () => onTurn(turn))
  return button
}
