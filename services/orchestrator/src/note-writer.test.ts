import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { noteOf } from './testing/note-store-suite.ts'
import type { LanguageModel, Prompt } from './stages/llm.ts'
import { Enrichment } from './stages/memory-enrich.ts'
import type { NoteStore } from './stages/memory-note.ts'
import { openMemory } from './stages/memory-sqlite.ts'
import { createNoteWriter } from './note-writer.ts'

const live = (): AbortSignal => new AbortController().signal
const DOG = noteOf('My dog is called Rex.', { id: 'dog', keywords: ['dog', 'rex'] })
const VET = noteOf('I see the vet on Monday.', { id: 'vet', keywords: ['vet', 'monday'] })
const TEA = noteOf('I like tea.', { id: 'tea', keywords: ['tea'] })

let folder = ''
let store: NoteStore
let enrichment: Enrichment
let prompts: Prompt[] = []
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  store = openMemory(join(folder, 'memory.sqlite'))
  prompts = []
  await store.put([DOG, TEA, VET], live())
})
afterEach(() => {
  enrichment.close()
  store.close()
  rmSync(folder, { recursive: true })
  vi.useRealTimers()
})

function setUp(answer: (prompt: Prompt, signal: AbortSignal) => Promise<string>, name = 'server/m') {
  const llm: LanguageModel = {
    name,
    async *reply(prompt, signal) {
      prompts.push(prompt)
      yield { text: await answer(prompt, signal), model: name }
    },
  }
  const writer = createNoteWriter(llm, (model) => model.startsWith('server/'))
  enrichment = new Enrichment({ store, writer, log: { info: () => {}, warn: () => {} }, quietMs: 1000 })
}
async function quiet(): Promise<void> {
  await vi.advanceTimersByTimeAsync(1000)
  await enrichment.settled()
}
const noteAt = async (id: string) => (await store.get('anna', [id], live()))[0]
/** What the model was told, by number. */
const numbered = (prompt: Prompt) =>
  JSON.parse(prompt.user) as { new: string; notes: { number: number; text: string }[] }
const numberOf = (prompt: Prompt, text: string) => numbered(prompt).notes.find((note) => note.text === text)?.number

describe('a new note', () => {
  test('gets the model’s keywords and links, and the notes it has to do with learn of it', async () => {
    setUp(async (prompt) => {
      const dog = numberOf(prompt, DOG.text)
      const words = {
        keywords: ['Vet', 'appointment'],
        related: [dog],
        updates: [{ note: dog, keywords: ['dog', 'rex', 'vet'] }],
      }
      return `Here it is:\n\`\`\`json\n${JSON.stringify(words)}\n\`\`\``
    })
    enrichment.add([{ user: 'anna', id: 'vet' }])
    await quiet()
    expect(await noteAt('vet')).toMatchObject({ keywords: ['vet', 'appointment'], links: ['dog'], text: VET.text })
    expect(await noteAt('dog')).toMatchObject({ keywords: ['dog', 'rex', 'vet'], links: ['vet'], text: DOG.text })
    expect(await noteAt('tea')).toEqual(TEA)
    expect(prompts).toHaveLength(1)
  })

  test.each([
    'I can not do that.',
    '{"keywords": "none"}',
    '{"keywords": [], "related": [99, 0, -1]}',
    `{"keywords": ["${'x'.repeat(9000)}"]}`,
  ])('is left as it is by an answer like %j', async (answer) => {
    setUp(async () => answer)
    enrichment.add([{ user: 'anna', id: 'vet' }])
    await quiet()
    expect([await noteAt('vet'), await noteAt('dog'), await noteAt('tea')]).toEqual([VET, DOG, TEA])
  })

  test('is not shown to a model in this process, which follows no instructions', async () => {
    setUp(async () => '{}', 'demo/chat')
    enrichment.add([{ user: 'anna', id: 'vet' }])
    await quiet()
    expect(prompts).toEqual([])
  })

  test('that its person deletes meanwhile stays deleted', async () => {
    setUp(async () => {
      await store.delete('anna', ['vet'], live())
      return '{"keywords": ["vet"], "related": [1, 2]}'
    })
    enrichment.add([{ user: 'anna', id: 'vet' }])
    await quiet()
    expect([await noteAt('vet'), await noteAt('dog')]).toEqual([undefined, DOG])
  })
})

test('a turn stops it at once, and it begins again after a time of quiet', async () => {
  const signals: AbortSignal[] = []
  setUp(async (_, signal) => {
    signals.push(signal)
    if (signals.length > 1) return '{"keywords": ["vet", "late"]}'
    return new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  })
  enrichment.add([{ user: 'anna', id: 'vet' }])
  await vi.advanceTimersByTimeAsync(1000)
  await eventually(() => expect(signals).toHaveLength(1))
  enrichment.pause()
  await enrichment.settled()
  expect([signals[0]?.aborted, (await noteAt('vet'))?.keywords]).toEqual([true, ['vet', 'monday']])
  await vi.advanceTimersByTimeAsync(999)
  expect(signals).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  await enrichment.settled()
  expect((await noteAt('vet'))?.keywords).toEqual(['vet', 'late'])
})
