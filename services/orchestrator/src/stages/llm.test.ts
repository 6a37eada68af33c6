import { AppError } from '@hearth/shared/errors'
import { describe, expect, test } from 'vitest'
import { firstOf } from './llm.ts'
import type { LanguageModelEntry, Prompt } from './llm.ts'

const PROMPT: Prompt = { instructions: '', history: [], memories: [], user: 'Hi.' }

/** Says the texts, then throws if there is an error. */
function entry(name: string, texts: readonly string[], error?: Error, usable = true): LanguageModelEntry {
  return {
    name,
    isUsable: () => usable,
    async *reply() {
      for (const text of texts) yield { text, model: name }
      if (error) throw error
    },
  }
}

async function ask(
  models: readonly [LanguageModelEntry, ...LanguageModelEntry[]],
  signal = new AbortController().signal,
) {
  const handedOver: string[] = []
  const said: string[] = []
  for await (const { text, model } of firstOf(models, (from) => handedOver.push(from)).reply(PROMPT, signal))
    said.push(`${model}: ${text}`)
  return { said, handedOver }
}

const broken = new AppError('dependency_unavailable', 'refused')

describe('a chain of language models', () => {
  test('asks the first that is usable, and no other', async () => {
    const first = entry('first', ['never'], undefined, false)
    expect(await ask([first, entry('second', ['Hello.']), entry('third', ['never'])])).toEqual({
      said: ['second: Hello.'],
      handedOver: [],
    })
  })

  test.each([
    ['fails', entry('first', [], broken)],
    ['says nothing', entry('first', [])],
    ['says only spaces', entry('first', [' ', '\n'])],
    ['fails after spaces', entry('first', [' '], broken)],
  ])('hands over to the next when one %s before a word', async (_, first) => {
    expect(await ask([first, entry('second', [' Hello.'])])).toEqual({
      said: ['second: Hello.'],
      handedOver: ['first'],
    })
  })

  test('does not start anew in mid-reply: the stage has failed', async () => {
    const models = [entry('first', ['Hel'], broken), entry('second', ['never'])] as const
    await expect(ask([...models])).rejects.toMatchObject({ code: 'stage_failed', details: { stage: 'llm' } })
  })

  test('tells when none can answer, and when to ask again', async () => {
    const models = [entry('first', [], broken), entry('second', [], broken)] as const
    await expect(ask([...models])).rejects.toMatchObject({ code: 'dependency_unavailable', retryAfterMs: 1000 })
  })

  test('an abort is not handed over', async () => {
    const stop = new AbortController()
    stop.abort(new Error('left'))
    await expect(ask([entry('first', [], broken), entry('second', ['never'])], stop.signal)).rejects.toThrow('left')
  })

  test('is named after who would answer', () => {
    const off = entry('off', [], undefined, false)
    expect(firstOf([off, entry('on', [])], () => {}).name).toBe('on')
    expect(firstOf([off], () => {}).name).toBe('off')
  })
})
