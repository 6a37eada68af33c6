import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { never } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { Speakers } from './speakers.ts'
import type { StandIn } from './speakers.ts'

type State = ModelStatus['state']

/** A model whose state the test sets. */
function model(id: string, state: State) {
  const made = { state, starts: 0, isGivenUp: false }
  const speaker: StandIn = {
    get status(): ModelStatus {
      const error = made.state === 'failed' ? 'broken file' : null
      const times = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }
      return { id, source: null, state: made.state, progress: null, ...times, warning: null, error }
    },
    start: () => void (made.starts += 1),
    ready: async () => {
      if (made.state !== 'ready') throw new AppError(made.isGivenUp ? 'model_failed' : 'model_loading', 'no')
    },
    submit: async () => {
      throw new Error('not asked')
    },
  }
  return { made, speaker }
}

function pair(main: State, standIn: State = 'ready') {
  const [kokoro, espeak] = [model('kokoro', main), model('espeak-ng', standIn)]
  const speakers = new Speakers(kokoro.speaker, espeak.speaker)
  const chosen = async (name?: string) => (await speakers.choose(name, never)).status.id
  return { kokoro: kokoro.made, espeak: espeak.made, speakers, chosen }
}

test('Kokoro speaks while it can, and eSpeak NG is not even started', async () => {
  const { chosen, speakers, espeak } = pair('ready', 'idle')
  expect([await chosen(), await chosen('tts-1'), speakers.status.id]).toEqual(['kokoro', 'kokoro', 'kokoro'])
  expect(espeak.starts).toBe(0)
})

test.each(['espeak', 'espeak-ng'])('a request for %s is spoken by it', async (name) => {
  expect(await pair('ready').chosen(name)).toBe('espeak-ng')
})

test('a model on its way is waited for', async () => {
  const { chosen, speakers } = pair('loading')
  await expect(chosen()).rejects.toMatchObject({ code: 'model_loading' })
  expect(speakers.status.id).toBe('kokoro')
})

test('once Kokoro has failed, eSpeak NG speaks, also while Kokoro is tried again, and /ready tells so', async () => {
  const { chosen, speakers, kokoro } = pair('failed')
  expect(await chosen()).toBe('espeak-ng')
  expect(speakers.status).toMatchObject({
    id: 'espeak-ng',
    state: 'ready',
    warning: "kokoro can't be used: espeak-ng speaks until it is back",
    error: 'broken file',
  })
  kokoro.state = 'loading'
  expect([await chosen(), speakers.status.id]).toEqual(['espeak-ng', 'espeak-ng'])
})

test('after a crash Kokoro is waited for, unless it fails again and again', async () => {
  const { chosen, speakers, kokoro } = pair('ready')
  await chosen()
  kokoro.state = 'failed'
  await expect(chosen()).rejects.toMatchObject({ code: 'model_loading' })
  expect(speakers.status.id).toBe('kokoro')
  kokoro.isGivenUp = true
  expect([await chosen(), speakers.status.id]).toEqual(['espeak-ng', 'espeak-ng'])
})

test('when Kokoro is back, it speaks', async () => {
  const { chosen, speakers, kokoro } = pair('failed')
  await chosen()
  kokoro.state = 'ready'
  expect([await chosen(), speakers.status.id]).toEqual(['kokoro', 'kokoro'])
})

test('whoever asks a service whose Kokoro failed starts the one that stands in', () => {
  const { speakers, espeak } = pair('failed', 'idle')
  expect(speakers.status).toMatchObject({ id: 'kokoro', state: 'failed' })
  expect(espeak.starts).toBe(1)
})

test('a request that waited for a Kokoro that then failed is spoken all the same', async () => {
  const failing = new AppError('model_failed', 'no')
  const main = { ...model('kokoro', 'loading').speaker, ready: () => Promise.reject(failing) }
  const chosen = await new Speakers(main, model('espeak-ng', 'ready').speaker).choose(undefined, never)
  expect(chosen.status.id).toBe('espeak-ng')
})
