import { AppError } from '@hearth/shared/errors'
import { StageClock } from '@hearth/shared/stage-clock'
import { describe, expect, test } from 'vitest'
import { fakeStages, MEMORY } from './testing/fake-stages.ts'
import type { ReplyPiece } from './stages/llm.ts'
import { runTurn } from './turn.ts'
import { TURN_STAGES } from './turn-events.ts'
import type { Exchange, Stages, TurnDone, TurnEvent, TurnInput } from './turn-events.ts'

const live = (): AbortSignal => new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))
const piece = (text: string): ReplyPiece => ({ text, model: 'fake/mind' })

function inputOf(
  said: TurnInput['said'] = { text: 'Hi.', model: null },
): TurnInput & { session: { history: Exchange[] } } {
  const history: Exchange[] = []
  const session = { id: 's1', history, add: (exchange: Exchange) => void history.push(exchange) }
  return { said, session, user: 'default', instructions: 'Be kind.' }
}

/** A clock whose time goes on by one millisecond each time it is asked. */
function ticking() {
  let ms = 0
  return new StageClock(TURN_STAGES, () => ms++)
}

async function all(events: AsyncIterable<TurnEvent>): Promise<TurnEvent[]> {
  const seen: TurnEvent[] = []
  for await (const event of events) seen.push(event)
  return seen
}

const hold = (stages: Stages, input = inputOf(), signal = live()) => all(runTurn(input, stages, ticking(), signal))

function doneOf(events: readonly TurnEvent[]): TurnDone {
  const last = events.at(-1)
  if (last?.type !== 'done') throw new Error(`expected done last, got ${last?.type}`)
  return last
}

const failing = (code: 'stage_failed' | 'undecodable_audio') => async (): Promise<never> => {
  throw new AppError(code, 'it broke')
}

describe('a turn', () => {
  test('goes from audio to transcript, memory, reply and sound, with the models and times of each stage', async () => {
    const { stages, prompts, remembered } = fakeStages()
    const input = inputOf({ wav: new Uint8Array(8) })
    const events = await hold(stages, input)
    expect(events.slice(0, 2)).toEqual([
      { type: 'transcript', text: 'Good morning.' },
      { type: 'memory', memories: [MEMORY] },
    ])
    const deltas = events.flatMap((event) => (event.type === 'reply.delta' ? event.text : []))
    expect(deltas.join('')).toBe('Hello there, Anna. How are you?')
    const fragments = events.flatMap((event) => (event.type === 'audio' ? event.text : []))
    expect(fragments).toEqual(['Hello there, Anna.', 'How are you?'])
    const done = doneOf(events)
    expect(done.models).toEqual({ stt: 'fake/ear', embeddings: 'fake/vectors', llm: 'fake/mind', tts: 'fake/voice' })
    const before = ['sttMs', 'memoryMs', 'llmFirstTokenMs', 'llmMs', 'ttsFirstByteMs', 'ttsMs']
    expect(Object.keys(done.timings)).toEqual([...before, 'firstAudioMs', 'rememberMs', 'totalMs'])
    expect(Object.values(done.timings).every((ms) => ms > 0)).toBe(true)
    expect(done.degraded.size).toBe(0)
    expect(prompts).toMatchObject([{ memories: ['My name is Anna.'], user: 'Good morning.', instructions: 'Be kind.' }])
    expect(remembered).toEqual([{ text: 'Good morning.', user: 'default', session: 's1' }])
    expect(input.session.history).toEqual([{ user: 'Good morning.', reply: 'Hello there, Anna. How are you?' }])
  })

  test('with typed text does not listen', async () => {
    const { stages } = fakeStages({ stt: { transcribe: failing('stage_failed') } })
    const done = doneOf(await hold(stages))
    expect(done.models.stt).toBeNull()
    expect(done.timings).not.toHaveProperty('sttMs')
  })

  test('in which nobody spoke asks no model for a reply', async () => {
    const { stages, prompts } = fakeStages({
      stt: { transcribe: async () => ({ text: '', language: 'en', model: 'fake/ear' }) },
    })
    const events = await hold(stages, inputOf({ wav: new Uint8Array(8) }))
    expect(events.map(({ type }) => type)).toEqual(['transcript', 'done'])
    expect(doneOf(events).reply).toBe('')
    expect(prompts).toEqual([])
  })
})

describe('the language of the reply', () => {
  function speaking(language: string) {
    const asked: (string | null)[] = []
    const voices: (string | undefined)[] = []
    const fakes = fakeStages({
      stt: { transcribe: async () => ({ text: 'Guten Tag.', language, model: 'fake/ear' }) },
      tts: {
        async speak(_, voice) {
          voices.push(voice)
          return { pcm: new Uint8Array(2), sampleRateHz: 24_000, model: 'fake/voice' }
        },
        async voiceFor(wanted) {
          asked.push(wanted)
          return wanted === null ? undefined : `${wanted}_voice`
        },
        requireVoice: async () => {},
      },
    })
    return { ...fakes, asked, voices }
  }

  test('is the one that was heard, asked of the mind and spoken by a voice of its own', async () => {
    const { stages, prompts, asked, voices } = speaking('german')
    const done = doneOf(await hold(stages, inputOf({ wav: new Uint8Array(8) })))
    expect([done.language, prompts[0]?.language, asked, voices]).toEqual(['de', 'de', ['de'], ['de_voice', 'de_voice']])
  })

  test('is the one that was found in typed text; unknown, it is left to mind and voice', async () => {
    const { stages, prompts, asked } = speaking('german')
    await hold(stages, inputOf({ text: 'Bonjour.', model: null, language: 'fr' }))
    const done = doneOf(await hold(stages))
    expect(asked).toEqual(['fr', null])
    expect([prompts[0]?.language, prompts[1]?.language, done.language]).toEqual(['fr', null, null])
  })

  test('can be chosen, and so can the voice', async () => {
    const { stages, prompts, asked, voices } = speaking('german')
    await hold(stages, {
      ...inputOf({ wav: new Uint8Array(8) }),
      language: 'Spanish',
      voice: 'af_demo',
    })
    expect([prompts[0]?.language, asked, voices]).toEqual(['es', [], ['af_demo', 'af_demo']])
  })

  test('that no voice speaks is spoken by the voice there is, and the turn says so', async () => {
    const { stages, voices } = speaking('de')
    const voiceFor = async (): Promise<never> => {
      throw new AppError('voice_not_found', 'no voice')
    }
    const turn = hold({ ...stages, tts: { ...stages.tts, voiceFor } }, inputOf({ wav: new Uint8Array(8) }))
    const { degraded } = doneOf(await turn)
    expect([[...degraded.keys()], voices]).toEqual([['voice'], [undefined, undefined]])
  })
})

describe('speaking while writing', () => {
  test('the first audio is there before the language model has ended', async () => {
    const gate = Promise.withResolvers<void>()
    const { stages } = fakeStages({
      llm: {
        name: 'fake/mind',
        async *reply() {
          yield piece('This is a first part, ')
          await gate.promise
          yield piece('and this is the rest.')
        },
      },
    })
    const seen: string[] = []
    for await (const event of runTurn(inputOf(), stages, ticking(), live())) {
      seen.push(event.type)
      if (event.type === 'audio') gate.resolve()
    }
    expect(seen).toEqual(['transcript', 'memory', 'reply.delta', 'audio', 'reply.delta', 'audio', 'done'])
  })

  test('the next fragment is made while the reader still has the one before', async () => {
    const { stages, spoken } = fakeStages()
    for await (const event of runTurn(inputOf(), stages, ticking(), live())) {
      if (event.type !== 'audio') continue
      while (spoken.length < 2) await settled()
      break
    }
    expect(spoken).toEqual(['Hello there, Anna.', 'How are you?'])
  })

  test('fragments keep their order when the later one is made faster', async () => {
    const first = Promise.withResolvers<void>()
    const tts: Stages['tts'] = {
      async speak(text) {
        if (text.startsWith('Hello')) await first.promise
        return { pcm: new Uint8Array(2), sampleRateHz: 24_000, model: 'fake/voice' }
      },
      voiceFor: async () => undefined,
      requireVoice: async () => {},
    }
    const turn = hold(fakeStages({ tts }).stages)
    await settled()
    first.resolve()
    const spoken = (await turn).flatMap((event) => (event.type === 'audio' ? event.text : []))
    expect(spoken).toEqual(['Hello there, Anna.', 'How are you?'])
  })

  test('a reader who stops reading stops the writer: the queues between them are bounded', async () => {
    let written = 0
    const { stages } = fakeStages({
      llm: {
        name: 'fake/mind',
        async *reply() {
          for (; written < 1000; written++) yield piece('One more short sentence is here. ')
        },
      },
    })
    const turn = runTurn(inputOf(), stages, ticking(), live())
    for (let i = 0; i < 3; i++) await turn.next()
    for (let i = 0; i < 50; i++) await settled()
    expect(written).toBeLessThan(20)
    await turn.return()
  })
})

describe('stopping', () => {
  /** A mind and a voice that never end by themselves. */
  function endless() {
    const signals: Record<string, AbortSignal> = {}
    const untilAborted = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const { stages } = fakeStages({
      llm: {
        name: 'fake/mind',
        async *reply(_, signal) {
          signals['llm'] = signal
          yield piece('This is a first part, ')
          await untilAborted(signal)
        },
      },
      tts: {
        speak: (_, __, signal) => {
          signals['tts'] = signal
          return untilAborted(signal)
        },
        voiceFor: async () => undefined,
        requireVoice: async () => {},
      },
    })
    return { stages, signals }
  }

  test('an abort ends the language model and the voice, and throws its reason', async () => {
    const { stages, signals } = endless()
    const stop = new AbortController()
    const turn = hold(stages, inputOf(), stop.signal)
    while (!signals['tts']) await settled()
    stop.abort(new Error('the client left'))
    await expect(turn).rejects.toThrow('the client left')
    expect([signals['llm']?.aborted, signals['tts'].aborted]).toEqual([true, true])
  })

  test('a reader who leaves early ends them too', async () => {
    const { stages, signals } = endless()
    const turn = runTurn(inputOf(), stages, ticking(), live())
    for (let i = 0; i < 3; i++) await turn.next()
    while (!signals['tts']) await settled()
    await turn.return()
    expect([signals['llm']?.aborted, signals['tts'].aborted]).toEqual([true, true])
  })

  test('an abort while memory is looked up asks no model for a reply', async () => {
    const stop = new AbortController()
    const recall = async (): Promise<never> => {
      stop.abort(new Error('left'))
      throw new AppError('cancelled', 'aborted')
    }
    const { stages } = fakeStages({ memory: { recall, remember: async () => {} } })
    const seen: string[] = []
    const turn = async () => {
      for await (const { type } of runTurn(inputOf(), stages, ticking(), stop.signal)) seen.push(type)
    }
    await expect(turn()).rejects.toThrow('left')
    expect(seen).toEqual(['transcript'])
  })

  test('an aborted turn leaves no trace in the history', async () => {
    const { stages, signals } = endless()
    const stop = new AbortController()
    const input = inputOf()
    const turn = hold(stages, input, stop.signal)
    while (!signals['tts']) await settled()
    stop.abort()
    await expect(turn).rejects.toThrow('aborted')
    expect(input.session.history).toEqual([])
  })
})

describe('a stage that fails', () => {
  test('memory: the turn goes on without it and says so', async () => {
    const memory = { recall: failing('stage_failed'), remember: failing('stage_failed') }
    const { stages, prompts } = fakeStages({ memory })
    const done = doneOf(await hold(stages))
    expect([...done.degraded.keys()]).toEqual(['memory'])
    expect(done.models.embeddings).toBeNull()
    expect(prompts[0]?.memories).toEqual([])
    expect(done.reply).toBe('Hello there, Anna. How are you?')
  })

  test('the job queue: the turn was heard without it and says so', async () => {
    const unqueued = new AppError('dependency_unavailable', 'no Redis')
    const stt = { transcribe: async () => ({ text: 'Hello.', language: 'en', model: 'fake/ear', unqueued }) }
    const done = doneOf(await hold(fakeStages({ stt }).stages, inputOf({ wav: new Uint8Array(8) })))
    expect([...done.degraded]).toEqual([['queue', unqueued]])
  })

  test('the voice: the whole reply comes as text, and it is not asked again', async () => {
    let asked = 0
    const speak = async (): Promise<never> => {
      asked++
      throw new AppError('stage_failed', 'tts: it broke')
    }
    const events = await hold(
      fakeStages({ tts: { speak, voiceFor: async () => undefined, requireVoice: async () => {} } }).stages,
    )
    const done = doneOf(events)
    expect(done.degraded.get('tts')?.code).toBe('stage_failed')
    expect(done.reply).toBe('Hello there, Anna. How are you?')
    expect(events.some(({ type }) => type === 'audio')).toBe(false)
    expect(asked).toBe(1)
  })

  test('a fragment that has nothing to say is no failure', async () => {
    const tts: Stages['tts'] = {
      speak: async () => null,
      voiceFor: async () => undefined,
      requireVoice: async () => {},
    }
    expect(doneOf(await hold(fakeStages({ tts }).stages)).degraded.size).toBe(0)
  })

  test.each(['stage_failed', 'undecodable_audio'] as const)(
    'the ear: the turn fails with its error, %s',
    async (code) => {
      const { stages } = fakeStages({ stt: { transcribe: failing(code) } })
      await expect(hold(stages, inputOf({ wav: new Uint8Array(8) }))).rejects.toMatchObject({ code })
    },
  )

  test('the mind, in mid-reply: the turn fails, and neither history nor memory hold half an answer', async () => {
    const { stages, remembered } = fakeStages({
      llm: {
        name: 'fake/mind',
        async *reply() {
          yield piece('Half an ')
          throw new AppError('stage_failed', 'llm: it broke off')
        },
      },
    })
    const input = inputOf()
    await expect(hold(stages, input)).rejects.toMatchObject({ code: 'stage_failed' })
    expect([input.session.history, remembered]).toEqual([[], []])
  })
})
