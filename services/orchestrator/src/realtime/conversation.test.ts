/** Turns as people take them: spoken, interrupted, guessed at. */
import type { SetTimer } from '@hearth/shared/waits'
import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { loudPcm, silentPcm, startRealtime } from '../testing/realtime-stack.ts'
import type { Client } from '../testing/realtime-stack.ts'
import type { Stages } from '../turn-events.ts'
import type { Heard } from '../stages/stt.ts'

type Stack = Awaited<ReturnType<typeof startRealtime>>
let stack: Stack | undefined
afterEach(async () => {
  await stack?.stop()
  stack = undefined
})

async function started(...args: Parameters<typeof startRealtime>): Promise<Stack> {
  stack = await startRealtime(...args)
  return stack
}

const hearing = (...texts: string[]): Stages['stt'] => ({
  transcribe: async (): Promise<Heard> => ({ text: texts.shift() ?? '', language: 'en', model: 'fake/ear' }),
})

/** A hundred milliseconds of sound for each letter. */
const slowVoice: Stages['tts'] = {
  speak: async (text) => ({ pcm: new Uint8Array(text.length * 4800), sampleRateHz: 24_000, model: 'fake/voice' }),
  voiceFor: async () => undefined,
  requireVoice: async () => {},
}

function speak(client: Client, ms: number): void {
  client.send({ type: 'input_audio_buffer.append', audio: loudPcm(ms) })
}
function pause(client: Client, ms: number): void {
  client.send({ type: 'input_audio_buffer.append', audio: silentPcm(ms) })
}
/** One spoken turn; waits for the end of its response. */
async function say(client: Client, ms = 400) {
  const before = client.events.length
  speak(client, ms)
  pause(client, 600)
  return client.until('response.done', before)
}
const countOf = (client: Client, type: string): number => client.types().filter((one) => one === type).length

describe('a spoken turn', () => {
  test('is told in the order of the protocol', async () => {
    const { connect } = await started()
    const client = await connect()
    pause(client, 1000)
    await say(client)
    expect([...new Set(client.types())].slice(1, 9)).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'conversation.item.input_audio_transcription.completed',
      'response.created',
      'response.output_item.added',
    ])
    const start = await client.until('input_audio_buffer.speech_started')
    const stop = await client.until('input_audio_buffer.speech_stopped')
    expect([start['audio_start_ms'], stop['audio_end_ms']]).toEqual([1000, 1900])
    expect(new Set([start, stop].map(({ item_id }) => item_id)).size).toBe(1)
  })

  test('that nobody said anything in has no response', async () => {
    const { connect, prompts } = await started({ stt: hearing('', 'Hello.') })
    const client = await connect()
    speak(client, 400)
    pause(client, 600)
    const heard = await client.until('conversation.item.input_audio_transcription.completed')
    expect(heard).toMatchObject({ transcript: '' })
    await say(client)
    expect(prompts).toMatchObject([{ user: 'Hello.' }])
    expect(countOf(client, 'response.created')).toBe(1)
  })

  test('waits for the client where it wants to be asked itself', async () => {
    const { connect } = await started()
    const client = await connect()
    const turn_detection = { type: 'server_vad', create_response: false }
    client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection } } } })
    speak(client, 400)
    pause(client, 600)
    await client.until('conversation.item.input_audio_transcription.completed')
    expect(client.types()).not.toContain('response.created')
    expect((await client.respond())['response']).toMatchObject({ status: 'completed' })
  })

  test('is listened to again when the model has waited for long enough', async () => {
    const alarms = new Map<number, () => void>()
    const setTimer: SetTimer = (done, ms) => {
      alarms.set(ms, done)
      return () => {}
    }
    const { connect, prompts } = await started({}, { setTimer, now: () => 0 })
    const client = await connect()
    const turn_detection = { type: 'server_vad', idle_timeout_ms: 9000 }
    client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection } } } })
    await say(client)
    const before = client.events.length
    alarms.get(Math.max(...alarms.keys()))?.()
    await client.until('input_audio_buffer.timeout_triggered', before)
    await client.until('response.done', before)
    expect(prompts).toHaveLength(2)
  })
})

describe('settings that change while somebody speaks', () => {
  /** What was sent to be heard, in milliseconds of sound. */
  async function listening() {
    const heardMs: number[] = []
    const transcribe: Stages['stt']['transcribe'] = async (wav) => {
      const rateHz = Buffer.from(wav).readUInt32LE(24)
      heardMs.push(Math.round(((wav.length - 44) / 2 / rateHz) * 1000))
      return { text: 'Hello.', language: 'en', model: 'fake/ear' }
    }
    const { connect } = await started({ stt: { transcribe } }, { mayGuess: () => false })
    const client = await connect()
    const hear = (input: object) =>
      client.send({ type: 'session.update', session: { type: 'realtime', audio: { input } } })
    speak(client, 400)
    const { item_id: item } = await client.until('input_audio_buffer.speech_started')
    return { client, heardMs, hear, item }
  }
  test('keep what was said: another patience holds for its end', async () => {
    const { client, heardMs, hear, item } = await listening()
    hear({ turn_detection: { type: 'server_vad', silence_duration_ms: 1000 } })
    speak(client, 200)
    pause(client, 600)
    client.send({ type: 'conversation.item.retrieve', item_id: 'none' })
    await client.until('error')
    expect(client.types()).not.toContain('input_audio_buffer.speech_stopped')
    pause(client, 500)
    await client.until('response.done')
    expect(await client.until('input_audio_buffer.committed')).toMatchObject({ item_id: item })
    // 600 ms of speech, and what is heard behind it.
    expect(heardMs).toEqual([1200])
  })

  test('keep what was said for the client to commit', async () => {
    const { client, heardMs, hear, item } = await listening()
    hear({ turn_detection: null })
    speak(client, 200)
    client.send({ type: 'input_audio_buffer.commit' })
    expect(await client.until('input_audio_buffer.committed')).toMatchObject({ item_id: item })
    await client.until('conversation.item.input_audio_transcription.completed')
    expect(heardMs).toEqual([600])
  })

  test('keep what was said when turns are looked for again', async () => {
    const { client, heardMs, hear, item } = await listening()
    hear({ turn_detection: null })
    speak(client, 200)
    hear({ turn_detection: { type: 'server_vad' } })
    pause(client, 600)
    await client.until('response.done')
    expect(await client.until('input_audio_buffer.committed')).toMatchObject({ item_id: item })
    // Up to the end of the turn.
    expect(heardMs).toEqual([1100])
    expect(countOf(client, 'input_audio_buffer.speech_started')).toBe(1)
  })

  test('keep what was said in another format', async () => {
    const { client, heardMs, hear, item } = await listening()
    hear({ format: { type: 'audio/pcmu' }, turn_detection: null })
    client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(8 * 200, 1).toString('base64') })
    client.send({ type: 'input_audio_buffer.commit' })
    expect(await client.until('input_audio_buffer.committed')).toMatchObject({ item_id: item })
    await client.until('conversation.item.input_audio_transcription.completed')
    expect(heardMs).toEqual([600])
  })

  test('find what was said before turns were looked for', async () => {
    const { connect } = await started()
    const client = await connect()
    const hear = (turn_detection: object | null) =>
      client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection } } } })
    hear(null)
    speak(client, 400)
    hear({ type: 'server_vad' })
    pause(client, 600)
    await client.until('response.done')
    expect(await client.until('input_audio_buffer.speech_started')).toMatchObject({ audio_start_ms: 0 })
  })
})

describe('what begins before the end of an utterance', () => {
  test('is taken when the utterance ends there', async () => {
    const ear = hearing('Good morning.')
    const transcribe = vi.fn<Stages['stt']['transcribe']>((...heard) => ear.transcribe(...heard))
    const { connect, prompts, remembered } = await started({ stt: { transcribe } })
    const client = await connect()
    speak(client, 400)
    pause(client, 300)
    await eventually(() => expect(prompts).toHaveLength(1))
    expect(client.types()).not.toContain('response.created')
    expect(remembered).toEqual([])
    pause(client, 300)
    await client.until('response.done')
    expect(transcribe).toHaveBeenCalledTimes(1)
    expect(prompts).toHaveLength(1)
    expect(remembered).toMatchObject([{ text: 'Good morning.', turn: expect.any(String) }])
  })

  test('is thrown away when the speaker goes on', async () => {
    const stopped = Promise.withResolvers<void>()
    const prompts: string[] = []
    const llm: Stages['llm'] = {
      name: 'fake/mind',
      async *reply({ user }, signal) {
        prompts.push(user)
        signal.addEventListener('abort', () => stopped.resolve())
        yield { text: `You said ${user}`, model: 'fake/mind' }
        if (prompts.length === 1) await stopped.promise
      },
    }
    const { connect, remembered } = await started({ llm, stt: hearing('Buy', 'Buy milk.') })
    const client = await connect()
    speak(client, 400)
    pause(client, 300)
    await eventually(() => expect(prompts).toEqual(['Buy']))
    speak(client, 400)
    await stopped.promise
    pause(client, 600)
    const done = await client.until('response.done')
    expect(done['response']).toMatchObject({ output: [{ content: [{ transcript: 'You said Buy milk.' }] }] })
    expect(countOf(client, 'response.created')).toBe(1)
    expect(remembered.map(({ text }) => text)).toEqual(['Buy milk.'])
  })

  test('is not the answer when the client wants it made otherwise', async () => {
    const { connect, prompts } = await started({ stt: hearing('Good morning.') })
    const client = await connect()
    speak(client, 400)
    pause(client, 300)
    await eventually(() => expect(prompts).toHaveLength(1))
    client.send({ type: 'input_audio_buffer.commit' })
    await client.respond({ instructions: 'Be brief.' })
    expect(prompts.at(-1)).toMatchObject({ user: 'Good morning.', instructions: 'Be brief.' })
  })

  test('does not begin on a busy machine', async () => {
    const { connect, prompts } = await started({}, { mayGuess: () => false })
    const client = await connect()
    speak(client, 400)
    pause(client, 300)
    await client.until('input_audio_buffer.speech_started')
    expect(prompts).toEqual([])
    pause(client, 300)
    await client.until('response.done')
    expect(prompts).toHaveLength(1)
  })
})

/** Says "One two three four. ", or what else is given, and waits the first time until it is stopped. */
function waitingMind(text = 'One two three four. ') {
  const stopped = Promise.withResolvers<void>()
  const prompts: Parameters<Stages['llm']['reply']>[0][] = []
  const llm: Stages['llm'] = {
    name: 'fake/mind',
    async *reply(prompt, signal) {
      prompts.push(prompt)
      yield { text, model: 'fake/mind' }
      if (prompts.length > 1) return
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stopped.resolve()
          reject(signal.reason)
        })
      })
    },
  }
  return { llm, prompts, stopped: stopped.promise }
}

describe('a turn that is cut off', () => {
  test.each([
    ['cancelled', (client: Client) => client.send({ type: 'response.cancel' })],
    ['cancelled', (client: Client) => speak(client, 400)],
  ])('is on record as %s, and told, with where its time went until then', async (status, cut) => {
    const { connect, turns } = await started({ llm: waitingMind().llm })
    const client = await connect('?hearth=true')
    await within(client)
    cut(client)
    const { response } = await client.until('response.done')
    const told = await client.until('hearth.turn')
    expect(told).toMatchObject({ status, response_id: (response as { id: string }).id, models: null })
    const record = turns.get(String(told['turn']))
    expect(record).toMatchObject({ status, error: 'cancelled', transcript: 'Good morning.' })
    expect(record?.waterfall).toEqual(told['waterfall'])
    expect(record?.waterfall).toContainEqual(expect.objectContaining({ stage: 'llm', unfinished: true }))
    expect(record?.timings).toHaveProperty('sttMs')
    expect(client.types().indexOf('hearth.turn')).toBeGreaterThan(client.types().indexOf('response.done'))
  })

  test('for another reason is told as well', async () => {
    const llm: Stages['llm'] = {
      name: 'fake/mind',
      async *reply() {
        yield* []
        throw new Error('no mind')
      },
    }
    const { connect } = await started({ llm })
    const client = await connect('?hearth=true')
    client.say('Hello.')
    await client.respond()
    expect(await client.until('hearth.turn')).toMatchObject({ status: 'failed' })
  })

  /** A reply that has begun to sound and does not end. */
  async function within(client: Client): Promise<void> {
    speak(client, 400)
    pause(client, 600)
    await client.until('response.output_audio.delta')
  }
})

describe('an interruption', () => {
  test('ends the reply and its work at once, and the history keeps what was heard', async () => {
    let nowMs = 0
    const { llm, prompts, stopped } = waitingMind()
    const { connect } = await started({ llm, tts: slowVoice, stt: hearing('Count.', 'Stop.') }, { now: () => nowMs })
    const client = await connect()
    speak(client, 400)
    pause(client, 600)
    await client.until('response.output_audio.delta')
    await eventually(() => expect(countOf(client, 'response.output_audio.delta')).toBe(19))
    nowMs = 850
    const before = client.events.length
    speak(client, 400)
    const done = await client.until('response.done')
    await stopped
    expect(done['response']).toMatchObject({
      status: 'cancelled',
      status_details: { type: 'cancelled', reason: 'turn_detected' },
      output: [{ status: 'incomplete', content: [{ transcript: 'One two' }] }],
    })
    expect(client.types().slice(before, before + 1)).toEqual(['input_audio_buffer.speech_started'])
    pause(client, 600)
    await client.until('response.done', client.events.indexOf(done) + 1)
    expect(prompts[1]?.history).toMatchObject([{ user: 'Count.', reply: 'One two' }])
    expect(prompts[1]?.user).toBe('Stop.')
  })

  test('of a reply that is sent but still plays leaves in the history what was heard', async () => {
    let nowMs = 0
    const { connect, prompts, sessions } = await started({ tts: slowVoice }, { now: () => nowMs })
    const client = await connect('?session=tea')
    await say(client)
    nowMs = 1300
    await say(client)
    expect(prompts[1]?.history).toMatchObject([{ user: 'Good morning.', reply: 'Hello there,' }])
    await eventually(async () =>
      expect((await sessions.read('default', 'tea'))?.history).toMatchObject([{ reply: 'Hello there,' }]),
    )
  })

  test.each([
    // Silence phrases are what Whisper hears in noises.
    ['a noise too short for a word', 60, 'Thank you.'],
    ['a sound without words', 400, ''],
  ])('that was none, %s, lets the reply go on where it was', async (_what, ms, heard) => {
    let nowMs = 0
    const { connect, prompts } = await started(
      { tts: slowVoice, stt: hearing('Hello.', heard) },
      { now: () => nowMs, mayGuess: () => false },
    )
    const client = await connect()
    await say(client)
    nowMs = 1300
    const done = await say(client, ms)
    expect(done['response']).toMatchObject({ output: [{ content: [{ transcript: 'Anna. How are you?' }] }] })
    expect(prompts).toHaveLength(1)
  })

  test('while the model still thinks, by a noise, does not lose the question', async () => {
    const { llm, prompts } = waitingMind('')
    const { connect } = await started({ llm, stt: hearing('Count.', '') })
    const client = await connect()
    speak(client, 400)
    pause(client, 600)
    await client.until('response.created')
    const done = await say(client)
    expect(done['response']).toMatchObject({ status: 'cancelled', output: [] })
    await client.until('response.done', client.events.indexOf(done) + 1)
    expect(prompts.map(({ user }) => user)).toEqual(['Count.', 'Count.'])
  })

  test('is none where the client forbids it', async () => {
    const { connect } = await started({ tts: slowVoice })
    const client = await connect()
    const turn_detection = { type: 'server_vad', interrupt_response: false }
    client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection } } } })
    speak(client, 400)
    pause(client, 600)
    await client.until('response.created')
    speak(client, 400)
    pause(client, 600)
    const first = await client.until('response.done')
    await client.until('response.done', client.events.indexOf(first) + 1)
    expect(first['response']).toMatchObject({ status: 'completed' })
  })
})
