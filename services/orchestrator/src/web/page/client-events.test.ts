import { expect, test } from 'vitest'
import { sendText, sessionUpdate, truncate } from './client-events.ts'

const CHOICES = { voice: '', language: '', isHandsFree: false, turnEnd: 'silence' } as const

test('with the button the server waits for its end; without it listens for one', () => {
  const detection = (choices: object) => sessionUpdate({ ...CHOICES, ...choices }).session.audio.input.turn_detection
  expect(detection({})).toBeNull()
  expect(detection({ isHandsFree: true })).toMatchObject({ type: 'server_vad', interrupt_response: true })
  expect(detection({ isHandsFree: true, turnEnd: 'meaning' })).toMatchObject({ type: 'semantic_vad' })
})

test('voice and language are named only when they are chosen, and taken back when they are not', () => {
  expect(JSON.stringify(sessionUpdate(CHOICES))).not.toContain('"language"')
  expect(sessionUpdate(CHOICES).session.audio.output).toMatchObject({ voice: null })
  const { audio } = sessionUpdate({ ...CHOICES, voice: 'af_demo', language: 'de' }).session
  expect([audio.output, audio.input.transcription]).toMatchObject([{ voice: 'af_demo' }, { language: 'de' }])
})

test('a typed text has the id under which the page shows it', () => {
  expect(sendText('item_1', 'Hi.')).toMatchObject([{ item: { id: 'item_1' } }, { type: 'response.create' }])
  expect(truncate('item_2', 40)).toMatchObject({ item_id: 'item_2', audio_end_ms: 40 })
})
