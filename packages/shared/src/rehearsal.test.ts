import { expect, test } from 'vitest'
import { rehearse } from './rehearsal.ts'

/** Rehearses with a model whose warm inference takes so long; gives how often the service was asked, and what was told. */
async function rehearsedWith(secondInferenceMs: number | null, status = 200) {
  const [asked, told]: [string[], string[]] = [[], []]
  const send = async (base: string) => {
    asked.push(base)
    return new Response('', { status })
  }
  const log = { warn: (_: unknown, message?: string) => void told.push(message ?? '') }
  await rehearse({ send, base: 'http://self', status: { secondInferenceMs }, log })
  return { asked, told }
}

test('a quick model is asked again and again, at its own address', async () => {
  const { asked, told } = await rehearsedWith(20)
  expect(asked.length).toBeGreaterThan(1)
  expect([new Set(asked), told]).toEqual([new Set(['http://self']), []])
})

test('a slow model is not: a cold path is lost in its time', async () => {
  expect(await rehearsedWith(250)).toEqual({ asked: [], told: [] })
})

test('one that is refused is the last, and is told', async () => {
  const { asked, told } = await rehearsedWith(20, 500)
  expect([asked.length, told]).toEqual([1, ['rehearsal failed']])
})
