import { describe, expect, test } from 'vitest'
import { conversationOf, heardText } from './items.ts'
import type { Item } from './items.ts'

const user = (text: string | null): Item => ({
  id: 'u',
  type: 'message',
  role: 'user',
  status: 'completed',
  text,
  isSound: false,
})
const system = (text: string): Item => ({
  id: 's',
  type: 'message',
  role: 'system',
  status: 'completed',
  text,
  isSound: false,
})
const reply = (text: string): Item => ({
  id: 'a',
  type: 'message',
  role: 'assistant',
  status: 'completed',
  text,
  isSound: true,
  written: text,
  spoken: [],
})
const call: Item = { id: 'f', type: 'function_call', status: 'completed', callId: 'c', name: 'weather', args: '{}' }
const output: Item = { id: 'o', type: 'function_call_output', status: 'completed', callId: 'c', output: 'rain' }
const CALLS = [{ id: 'c', name: 'weather', args: '{}' }]
const RESULTS = [{ id: 'c', content: 'rain' }]

describe('a conversation as the language model is told it', () => {
  test.each<[string, Item[], object]>([
    ['nothing', [], { history: [], user: '', results: [], system: [] }],
    ['a question', [user('One?')], { history: [], user: 'One?' }],
    ['an answer', [user('One?'), reply('Yes.')], { history: [{ user: 'One?', reply: 'Yes.' }], user: '' }],
    ['words without an answer', [user('One?'), user('Two?')], { history: [], user: 'One?\nTwo?' }],
    [
      'a reply of which nothing was heard',
      [user('One?'), reply(''), user('Two?')],
      { history: [], user: 'One?\nTwo?' },
    ],
    [
      'a reply that went on',
      [user('One?'), reply('Yes'), reply('and no.')],
      { history: [{ user: 'One?', reply: 'Yes and no.' }] },
    ],
    [
      'sound without words',
      [user('One?'), reply('Yes.'), user(''), user(null)],
      { history: [{ reply: 'Yes.' }], user: '' },
    ],
    ['a call', [user('Rain?'), call], { history: [{ user: 'Rain?', reply: '', calls: CALLS }], results: [] }],
    [
      'what it gave',
      [user('Rain?'), call, output],
      { history: [{ user: 'Rain?', calls: CALLS }], results: RESULTS, user: '' },
    ],
    [
      'the answer to that',
      [user('Rain?'), call, output, reply('Yes.')],
      { history: [{ calls: CALLS }, { user: '', results: RESULTS, reply: 'Yes.' }] },
    ],
    ['the system', [system('It is Monday.'), user('One?')], { system: ['It is Monday.'], user: 'One?' }],
  ])('%s', (_what, items, conversation) => {
    expect(conversationOf(items)).toMatchObject(conversation)
  })
})

describe('how much of a reply was heard', () => {
  const spoken = [
    { text: 'One two three.', ms: 1400 },
    { text: 'Four five.', ms: 1000 },
  ]
  test.each([
    [0, ''],
    [200, ''],
    [300, 'One'],
    [1399, 'One two'],
    [1400, 'One two three.'],
    [1900, 'One two three. Four'],
    [9999, 'One two three. Four five.'],
  ])('after %i ms', (ms, text) => {
    expect(heardText(spoken, ms)).toBe(text)
  })

  test('is cut anywhere in a language without spaces', () => {
    expect(heardText([{ text: '窓を開けてください。', ms: 1000 }], 500)).toBe('窓を開けて')
  })
})
