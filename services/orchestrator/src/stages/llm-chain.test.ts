import { AppError } from '@hearth/shared/errors'
import { describe, expect, test } from 'vitest'
import { firstOf } from './llm-chain.ts'
import type { LanguageModelEntry, Prompt, ReplyPiece, Usage } from './llm.ts'

const PROMPT: Prompt = { instructions: '', history: [], memories: [], user: 'Hi.' }
const STATUS = { source: null, state: 'ready', progress: null, loadMs: null, warning: null, error: null } as const

type Script = { usable?: boolean; error?: Error; usage?: Usage; beforeEach?: () => void }

/** Says the texts, then throws if there is an error. */
function entry(name: string, texts: readonly string[], script: Script = {}): LanguageModelEntry {
  const { usable = true, error, usage, beforeEach } = script
  return {
    name,
    status: { ...STATUS, id: name, firstInferenceMs: null, secondInferenceMs: null },
    isUsable: () => usable,
    async *reply() {
      for (const text of texts) {
        beforeEach?.()
        yield { text, model: name }
      }
      if (error) throw error
      if (usage) yield { text: '', model: name, usage }
    },
  }
}

type Entries = readonly [LanguageModelEntry, ...LanguageModelEntry[]]

async function ask(models: Entries, signal = new AbortController().signal, now = () => 0, read = () => {}) {
  const failures: string[] = []
  const said: string[] = []
  let last: ReplyPiece | undefined
  const onFailure = (model: string, _: AppError, hasSpoken: boolean) => failures.push(`${model} ${hasSpoken}`)
  for await (const piece of firstOf(models, { onFailure, now }).reply(PROMPT, signal)) {
    if (piece.text !== '') said.push(`${piece.model}: ${piece.text}`)
    last = piece
    read()
  }
  return { said, failures, last }
}

const broken = new AppError('dependency_unavailable', 'refused')
const late = new AppError('deadline_exceeded', 'too late')

describe('a chain of language models', () => {
  test('asks the first that is usable, and no other; who was passed over is told', async () => {
    const first = entry('first', ['never'], { usable: false })
    expect(await ask([first, entry('second', ['Hello.']), entry('third', ['never'])])).toMatchObject({
      said: ['second: Hello.'],
      failures: [],
      last: { text: '', model: 'second', fallbacks: [{ model: 'first', code: 'dependency_unavailable' }] },
    })
  })

  test('a first choice that answers leaves nothing to tell but what it took', async () => {
    const { last } = await ask([entry('first', ['Hello.'])])
    expect(last).toEqual({ text: '', model: 'first', usage: { firstTokenMs: 0 } })
  })

  test.each([
    ['fails', entry('first', [], { error: late }), late.code],
    ['says nothing', entry('first', []), 'dependency_unavailable'],
    ['says only spaces', entry('first', [' ', '\n']), 'dependency_unavailable'],
    ['fails after spaces', entry('first', [' '], { error: late }), late.code],
  ])('hands over to the next when one %s before a word', async (_, first, code) => {
    expect(await ask([first, entry('second', [' Hello.'])])).toMatchObject({
      said: ['second: Hello.'],
      failures: ['first false'],
      last: { model: 'second', fallbacks: [{ model: 'first', code }] },
    })
  })

  test('tells of several in their order', async () => {
    const models = [
      entry('first', [], { error: late }),
      entry('second', [], { usable: false }),
      entry('third', ['Hi.']),
    ] as const
    const { last } = await ask(models)
    expect(last?.fallbacks?.map(({ model }) => model)).toEqual(['first', 'second'])
  })

  test('ends with what was said when one breaks off in mid-reply, and does not start anew', async () => {
    const models = [entry('first', ['Hel', 'lo'], { error: broken }), entry('second', ['never'])] as const
    expect(await ask(models)).toMatchObject({
      said: ['first: Hel', 'first: lo'],
      failures: ['first true'],
      last: { text: '', model: 'first', incomplete: true },
    })
  })

  test('a whole reply is not incomplete', async () => {
    expect((await ask([entry('first', ['Hello.'])])).last).not.toHaveProperty('incomplete')
  })

  test('tells when none can answer, and when to ask again', async () => {
    const models = [entry('first', [], { error: broken }), entry('second', [], { error: broken })] as const
    await expect(ask(models)).rejects.toMatchObject({ code: 'dependency_unavailable', retryAfterMs: 1000 })
  })

  describe('a prompt that is refused', () => {
    const refused = new AppError('invalid_request', 'no')

    test('goes to the next', async () => {
      expect(await ask([entry('first', [], { error: refused }), entry('second', ['Hello.'])])).toMatchObject({
        said: ['second: Hello.'],
        last: { fallbacks: [{ model: 'first', code: 'invalid_request' }] },
      })
    })

    test('by the last is the client\u2019s to change', async () => {
      const models = [entry('first', [], { error: broken }), entry('second', [], { error: refused })] as const
      await expect(ask(models)).rejects.toBe(refused)
    })

    test('after the first words leaves them as they are', async () => {
      const { said, last } = await ask([entry('first', ['Hel'], { error: refused })])
      expect([said, last?.incomplete]).toEqual([['first: Hel'], true])
    })
  })

  test('an abort is not handed over', async () => {
    const stop = new AbortController()
    stop.abort(new Error('left'))
    const models = [entry('first', [], { error: broken }), entry('second', ['never'])] as const
    await expect(ask(models, stop.signal)).rejects.toThrow('left')
  })

  test('an abort in mid-reply is no incomplete reply', async () => {
    const stop = new AbortController()
    const beforeEach = () => stop.abort(new Error('left'))
    await expect(ask([entry('first', ['Hel'], { error: broken, beforeEach })], stop.signal)).rejects.toThrow('left')
  })

  test('has the name and the status of who would answer', () => {
    const off = entry('off', [], { usable: false })
    const chain = (models: Entries) => firstOf(models, { onFailure: () => {} })
    expect(chain([off, entry('on', [])])).toMatchObject({ name: 'on', status: { id: 'on' } })
    expect(chain([off])).toMatchObject({ name: 'off', status: { id: 'off' } })
  })
})

describe('what a reply took', () => {
  test('is the wait for the first words and for each token after them, without the reader\u2019s time', async () => {
    let now = 0
    const beforeEach = () => (now += 10)
    const one = entry('one', ['a', 'b', 'c'], { beforeEach, usage: { promptTokens: 7, replyTokens: 5 } })
    const { last } = await ask(
      [one],
      undefined,
      () => now,
      () => (now += 1000),
    )
    expect(last?.usage).toEqual({ promptTokens: 7, replyTokens: 5, firstTokenMs: 10, perTokenMs: 20 / 4 })
  })

  test('the model\u2019s own time for a token counts more', async () => {
    const { last } = await ask([entry('one', ['a'], { usage: { replyTokens: 5, perTokenMs: 33 } })])
    expect(last?.usage).toMatchObject({ perTokenMs: 33 })
  })

  test('of a reply that broke off is told as far as it is known', async () => {
    const { last } = await ask([entry('one', ['a'], { error: broken })])
    expect(last?.usage).toEqual({ firstTokenMs: 0 })
  })
})
