import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, describe, expect, test } from 'vitest'
import { Secret } from '@hearth/shared/config'
import { AppError } from '@hearth/shared/errors'
import { silentPcm, startRealtime } from '../testing/realtime-stack.ts'
import type { Client } from '../testing/realtime-stack.ts'
import { endlessMind } from '../testing/turn-app.ts'
import type { Stages } from '../turn-events.ts'

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

const manual = (client: Client) =>
  client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection: null } } } })

const withoutRepeats = (names: readonly string[]): string[] => [...new Set(names)]
const REPLY = 'Hello there, Anna. How are you?'

describe('a turn that the client commits', () => {
  test('text gets a spoken reply, told in the order of the protocol', async () => {
    const { connect, prompts } = await started()
    const client = await connect('?model=gpt-realtime')
    client.say('Hello.')
    const done = await client.respond()
    expect(withoutRepeats(client.types())).toEqual([
      'session.created',
      'conversation.item.added',
      'conversation.item.done',
      'response.created',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_audio_transcript.delta',
      'response.output_audio.delta',
      'response.output_audio.done',
      'response.output_audio_transcript.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.done',
    ])
    expect(done['response']).toMatchObject({
      status: 'completed',
      output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_audio', transcript: REPLY }] }],
    })
    expect(prompts).toMatchObject([{ user: 'Hello.', instructions: 'Be kind.' }])
  })

  test('sound becomes an item whose words come, and is answered', async () => {
    const { connect, prompts } = await started()
    const client = await connect()
    manual(client)
    client.send({ type: 'input_audio_buffer.append', audio: silentPcm(500) })
    client.send({ type: 'input_audio_buffer.commit' })
    await client.respond()
    const { item_id } = await client.until('input_audio_buffer.committed')
    const heard = await client.until('conversation.item.input_audio_transcription.completed')
    expect(heard).toMatchObject({ item_id, transcript: 'Good morning.', usage: { type: 'duration', seconds: 0.5 } })
    expect(prompts).toMatchObject([{ user: 'Good morning.' }])
  })

  test.each([
    ['audio/pcm', 48, 24_000],
    ['audio/pcmu', 8, 8000],
    ['audio/pcma', 8, 8000],
  ])('%s is heard at its own rate and spoken in its own form', async (type, bytesPerMs, rateHz) => {
    const heard: Uint8Array[] = []
    const transcribe: Stages['stt']['transcribe'] = async (wav) => {
      heard.push(wav)
      return { text: 'Good morning.', language: 'en', model: 'fake/ear' }
    }
    const speak = async () => ({ pcm: new Uint8Array(4800), sampleRateHz: 24_000, model: 'fake/voice' })
    const tts = { speak, voiceFor: async () => undefined, requireVoice: async () => {} }
    const { connect } = await started({ stt: { transcribe }, tts })
    const client = await connect()
    const format = { type }
    const audio = { input: { format, turn_detection: null }, output: { format } }
    client.send({ type: 'session.update', session: { type: 'realtime', audio } })
    client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(bytesPerMs * 1000).toString('base64') })
    client.send({ type: 'input_audio_buffer.commit' })
    await client.respond()
    const wav = Buffer.from(heard[0] ?? [])
    expect([wav.readUInt32LE(24), wav.length]).toEqual([rateHz, 44 + rateHz * 2])
    const { delta } = await client.until('response.output_audio.delta')
    expect(Buffer.from(String(delta), 'base64')).toHaveLength(bytesPerMs * 100)
  })

  test('the voice speaks as fast as it is told to', async () => {
    const speeds: unknown[] = []
    const speak: Stages['tts']['speak'] = async (_text, _voice, _signal, speed) => {
      speeds.push(speed)
      return null
    }
    const { connect } = await started({ tts: { speak, voiceFor: async () => undefined, requireVoice: async () => {} } })
    const client = await connect()
    client.send({ type: 'session.update', session: { type: 'realtime', audio: { output: { speed: 1.25 } } } })
    client.say('Hello.')
    await client.respond()
    expect(new Set(speeds)).toEqual(new Set([1.25]))
  })

  test.each([
    [
      'GA',
      {},
      { audio: { input: { noise_reduction: { type: 'near_field' } } }, tracing: 'auto' },
      { audio: { input: { noise_reduction: null } }, tracing: null },
    ],
    [
      'beta',
      { headers: { 'openai-beta': 'realtime=v1' } },
      { input_audio_noise_reduction: { type: 'near_field' }, tracing: 'auto' },
      { input_audio_noise_reduction: null, tracing: null },
    ],
  ])('what has no effect is told to be off, in the %s form', async (form, settings, asked, told) => {
    const { connect } = await started()
    const client = await connect('', settings)
    client.send({ type: 'session.update', session: { ...(form === 'GA' && { type: 'realtime' }), ...asked } })
    expect(await client.until('session.updated')).toMatchObject({ session: told })
  })

  test('a second turn knows the first, and so does the session', async () => {
    const { connect, prompts, sessions } = await started()
    const client = await connect('?session=tea&user=anna')
    client.say('One.')
    await client.respond()
    client.say('Two.')
    await client.respond()
    expect(prompts[1]?.history).toMatchObject([{ user: 'One.', reply: REPLY }])
    const session = await sessions.read('anna', 'tea')
    expect(session?.history).toMatchObject([{ user: 'One.' }])
  })

  test('a reconnect goes on with the session, and nobody else does', async () => {
    const { connect, prompts, sessions } = await started()
    const first = await connect('?session=tea&user=anna')
    first.say('One.')
    await first.respond()
    first.socket.close()
    await eventually(async () => expect((await sessions.read('anna', 'tea'))?.history).toHaveLength(1))
    for (const query of ['?session=tea&user=anna', '?session=tea&user=ben']) {
      const client = await connect(query)
      client.say('Two.')
      await client.respond()
    }
    expect(prompts[1]?.history).toMatchObject([{ user: 'One.' }])
    expect(prompts[2]?.history).toEqual([])
  })

  test('a reconnect gives no id that was given before', async () => {
    const { connect } = await started()
    const ids: string[] = []
    for (let at = 0; at < 2; at++) {
      const client = await connect('?session=tea')
      client.say('Hello.')
      await client.respond()
      for (const { item } of client.events.filter(({ type }) => type === 'conversation.item.added'))
        ids.push(String(Object(item).id))
    }
    expect(new Set(ids).size).toBe(4)
  })

  test('a later connection takes the session over', async () => {
    const { connect } = await started()
    const first = await connect('?session=tea')
    const closed = first.closed()
    const second = await connect('?session=tea')
    expect(await closed).toBe(4409)
    second.say('Hello.')
    expect((await second.respond())['response']).toMatchObject({ status: 'completed' })
  })

  test('a reply of text alone asks no voice', async () => {
    const { connect, spoken } = await started()
    const client = await connect()
    client.say('Hello.')
    const done = await client.respond({ output_modalities: ['text'] })
    expect(done['response']).toMatchObject({ output: [{ content: [{ type: 'output_text', text: REPLY }] }] })
    expect(client.types()).toContain('response.output_text.delta')
    expect(spoken).toEqual([])
  })

  test('a response beside the conversation leaves no trace in it', async () => {
    const { connect, prompts, remembered } = await started()
    const client = await connect()
    client.say('Hello.')
    const input = [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Is it rude?' }] }]
    const done = await client.respond({
      conversation: 'none',
      input,
      metadata: { kind: 'check' },
      instructions: 'Judge.',
    })
    expect(done['response']).toMatchObject({ status: 'completed', metadata: { kind: 'check' }, conversation_id: null })
    await client.respond()
    expect(prompts).toMatchObject([
      { user: 'Is it rude?', instructions: 'Judge.', history: [] },
      { user: 'Hello.', instructions: 'Be kind.', history: [] },
    ])
    expect(remembered.map(({ text }) => text)).toEqual(['Hello.'])
  })

  test('functions of the client are asked for, and what they give is answered', async () => {
    const prompts: unknown[] = []
    const llm: Stages['llm'] = {
      name: 'fake/mind',
      async *reply(prompt) {
        prompts.push(prompt)
        if (prompt.results) yield { text: 'It rains.', model: 'fake/mind' }
        else
          yield {
            text: '',
            model: 'fake/mind',
            toolCalls: [{ id: 'call_1', name: 'weather', args: '{"city":"Brno"}' }],
          }
      },
    }
    const { connect } = await started({ llm })
    const client = await connect()
    const tool = { type: 'function', name: 'weather', description: 'Tells it.', parameters: { type: 'object' } }
    client.send({ type: 'session.update', session: { type: 'realtime', tools: [tool] } })
    client.say('Will it rain?')
    const asked = await client.respond()
    expect(asked['response']).toMatchObject({
      output: [{ type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city":"Brno"}' }],
    })
    expect(await client.until('response.function_call_arguments.done')).toMatchObject({ call_id: 'call_1' })
    const item = { type: 'function_call_output', call_id: 'call_1', output: 'rain' }
    client.send({ type: 'conversation.item.create', item })
    const told = await client.respond()
    expect(told['response']).toMatchObject({ output: [{ content: [{ transcript: 'It rains.' }] }] })
    expect(prompts).toMatchObject([
      { user: 'Will it rain?', tools: [{ name: 'weather' }], toolChoice: 'auto' },
      { results: [{ id: 'call_1', content: 'rain' }], history: [{ user: 'Will it rain?', calls: [{ id: 'call_1' }] }] },
    ])
  })

  test('when nobody has said anything, the instructions of the response are what is asked', async () => {
    const { connect, prompts, remembered } = await started()
    const client = await connect()
    expect((await client.respond({ instructions: 'Greet the user.' }))['response']).toMatchObject({
      status: 'completed',
    })
    expect(prompts).toMatchObject([{ user: 'Greet the user.' }])
    expect(remembered).toEqual([])
  })

  test('cancelling ends the response once, and the work behind it', async () => {
    const { llm, stopped } = endlessMind()
    const { connect } = await started({ llm })
    const client = await connect()
    client.say('Hello.')
    client.send({ type: 'response.create' })
    await client.until('response.output_audio.delta')
    client.send({ type: 'response.cancel' })
    const done = await client.until('response.done')
    expect(done['response']).toMatchObject({
      status: 'cancelled',
      status_details: { type: 'cancelled', reason: 'client_cancelled' },
    })
    await stopped
    client.send({ type: 'response.cancel' })
    const refused = await client.until('error')
    expect(refused['error']).toMatchObject({ code: 'response_cancel_not_active' })
    expect(client.types().filter((type) => type === 'response.done')).toHaveLength(1)
  })

  test('a socket that is cut ends the work behind it', async () => {
    const { llm, stopped } = endlessMind()
    const { connect, admission } = await started({ llm })
    const client = await connect()
    client.say('Hello.')
    client.send({ type: 'response.create' })
    await client.until('response.output_audio.delta')
    client.socket.terminate()
    await stopped
    await eventually(() => expect(admission.running).toBe(0))
  })
})

describe('what goes wrong', () => {
  test.each([
    ['text that is no JSON', 'hello', 'invalid_json'],
    ['an event without a type', '{"event_id":"e1"}', 'unknown_event'],
    ['an unknown event', '{"type":"session.explode","event_id":"e1"}', 'unknown_event'],
    ['a prototype', '{"type":"session.update","event_id":"e1","__proto__":{}}', 'unknown_field'],
    [
      'sound that is no base64',
      '{"type":"input_audio_buffer.append","event_id":"e1","audio":"§§§"}',
      'invalid_request',
    ],
    ['half a sample', '{"type":"input_audio_buffer.append","event_id":"e1","audio":"AAAA"}', 'invalid_request'],
    [
      'a format that nobody has',
      '{"type":"session.update","event_id":"e1","session":{"audio":{"input":{"format":{"type":"audio/opus"}}}}}',
      'invalid_request',
    ],
    ['an empty commit', '{"type":"input_audio_buffer.commit","event_id":"e1"}', 'input_audio_buffer_commit_empty'],
    ['an unknown item', '{"type":"conversation.item.delete","event_id":"e1","item_id":"x"}', 'item_not_found'],
    ['a buffer of WebRTC', '{"type":"output_audio_buffer.clear","event_id":"e1"}', 'invalid_event'],
  ])('%s is told as an error, and the socket stays open', async (_what, text, code) => {
    const { connect } = await started()
    const client = await connect()
    client.socket.send(text)
    const { error } = await client.until('error')
    const event_id = text.includes('"event_id"') && code !== 'unknown_field' ? 'e1' : null
    expect(error).toMatchObject({ type: 'invalid_request_error', code, event_id })
    client.say('Still there?')
    expect((await client.respond())['response']).toMatchObject({ status: 'completed' })
  })

  test('a second response at the same time is refused', async () => {
    const { connect } = await started({ llm: endlessMind().llm })
    const client = await connect()
    client.say('Hello.')
    client.send({ type: 'response.create' })
    client.send({ type: 'response.create', event_id: 'again' })
    const { error } = await client.until('error')
    expect(error).toMatchObject({ code: 'conversation_already_has_active_response', event_id: 'again' })
  })

  test('a voice that does not exist is refused, and what follows is heard in its order', async () => {
    const requireVoice = async () => {
      throw new AppError('voice_not_found', 'there is no such voice', { param: 'voice' })
    }
    const { tts } = (await started()).stages
    await stack?.stop()
    const { connect } = await started({ tts: { ...tts, requireVoice } })
    const client = await connect()
    const session = { type: 'realtime', audio: { output: { voice: 'nobody' } } }
    client.send({ type: 'session.update', session, event_id: 'v' })
    client.say('Hello.')
    await client.respond()
    expect(client.types().slice(1, 3)).toEqual(['error', 'conversation.item.added'])
    expect(client.events[1]?.['error']).toMatchObject({ code: 'voice_not_found', event_id: 'v' })
  })

  test('an ear that fails is told for its item, and fails the response', async () => {
    const transcribe = async () => {
      throw new AppError('dependency_unavailable', 'the ear is away')
    }
    const { connect } = await started({ stt: { transcribe } })
    const client = await connect()
    manual(client)
    client.send({ type: 'input_audio_buffer.append', audio: silentPcm(500) })
    client.send({ type: 'input_audio_buffer.commit' })
    const done = await client.respond()
    const failed = await client.until('conversation.item.input_audio_transcription.failed')
    expect(failed['error']).toMatchObject({ code: 'dependency_unavailable' })
    expect(done['response']).toMatchObject({
      status: 'failed',
      status_details: { type: 'failed', error: { code: 'dependency_unavailable' } },
    })
  })

  test('a voice that dies in a reply leaves the rest of it in text', async () => {
    const { tts } = (await started()).stages
    await stack?.stop()
    let spoken = 0
    const speak: Stages['tts']['speak'] = async (...args) => {
      if (spoken++ > 0) throw new AppError('dependency_unavailable', 'the voice is away')
      return tts.speak(...args)
    }
    const { connect } = await started({ tts: { ...tts, speak } })
    const client = await connect('?hearth=true')
    client.say('Hello.')
    const done = await client.respond()
    expect(done['response']).toMatchObject({ status: 'completed', output: [{ content: [{ transcript: REPLY }] }] })
    expect(await client.until('hearth.turn')).toMatchObject({ degraded: ['tts'] })
  })

  test('binary frames end the connection', async () => {
    const { connect } = await started()
    const client = await connect()
    client.socket.send(Buffer.alloc(10))
    expect(await client.closed()).toBe(1003)
  })

  test('frames larger than allowed end the connection', async () => {
    const { connect } = await started({}, { limits: { messageBytes: 1000 } })
    const client = await connect()
    client.socket.send('x'.repeat(1001))
    expect(await client.closed()).toBe(1009)
  })

  test('too many messages in a second end the connection', async () => {
    const { connect } = await started({}, { limits: { messagesPerSecond: 10 } })
    const client = await connect()
    const closed = client.closed()
    for (let count = 0; count < 11; count++) client.send({ type: 'input_audio_buffer.clear' })
    expect(await closed).toBe(1008)
  })

  test('a client that lies silent is let go', async () => {
    const { connect } = await started({}, { idleMs: 1, limits: { pingMs: 5 } })
    const client = await connect()
    expect(await client.closed()).toBe(4408)
  })

  test('a client that answers no ping is cut off', async () => {
    const { connect } = await started({}, { limits: { pingMs: 5 } })
    const client = await connect('', { autoPong: false })
    expect(await client.closed()).toBe(1006)
  })
})

describe('who may connect', () => {
  const access = { apiKey: new Secret('a key of many letters') }

  test('the key may come in a header or as a subprotocol', async () => {
    const apiKey = new Secret('a-key-of-many-letters')
    const { connect } = await started({}, { access: { apiKey } })
    const byHeader = await connect('', { headers: { authorization: 'Bearer a-key-of-many-letters' } })
    expect(byHeader.socket.protocol).toBe('')
    const protocols = ['realtime', 'openai-insecure-api-key.a-key-of-many-letters']
    const bySubprotocol = await connect('', { protocols })
    expect(bySubprotocol.socket.protocol).toBe('realtime')
  })

  test.each([
    ['no key', {}, 401],
    ['another key', { headers: { authorization: 'Bearer wrong' } }, 401],
    ['another site', { headers: { authorization: 'Bearer a', origin: 'https://evil.example' } }, 403],
  ])('%s is refused before the socket opens', async (_what, settings, status) => {
    const { dial } = await started({}, { access })
    const client = dial('', settings)
    const answered = new Promise((resolve) => {
      client.socket.on('unexpected-response', (_request, response) => resolve(response.statusCode))
    })
    expect(await answered).toBe(status)
  })

  test('when all sessions are in use, a newcomer is told so', async () => {
    const { connect, dial } = await started({}, { maxSessions: 1 })
    await connect()
    const late = dial()
    const closed = late.closed()
    expect((await late.until('error'))['error']).toMatchObject({ code: 'session_limit_reached' })
    expect(await closed).toBe(1013)
  })

  test('a session id that is none is refused in words', async () => {
    const { dial } = await started()
    const client = dial('?session=../etc')
    expect((await client.until('error'))['error']).toMatchObject({ code: 'invalid_request', param: 'session' })
  })

  test('events of Hearth’s own come to those who ask for them', async () => {
    const { connect } = await started()
    const [plain, own] = [await connect(), await connect('?hearth=true')]
    for (const client of [plain, own]) {
      client.say('Hello.')
      await client.respond()
    }
    const told = await own.until('hearth.turn')
    expect(told).toMatchObject({ memories: [{ text: 'My name is Anna.' }], models: { llm: 'fake/mind' }, degraded: [] })
    expect(plain.types().filter((type) => type.startsWith('hearth.'))).toEqual([])
  })

  test('a service that stops tells its clients', async () => {
    const { connect, realtime } = await started()
    const client = await connect()
    const closed = client.closed()
    realtime.drain()
    expect(await closed).toBe(1001)
  })
})

describe('the items of a conversation', () => {
  test('are created in their place, told, and deleted', async () => {
    const { connect, prompts } = await started()
    const client = await connect()
    const message = (id: string, text: string) => ({
      id,
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text }],
    })
    client.send({ type: 'conversation.item.create', item: message('b', 'Two.') })
    client.send({ type: 'conversation.item.create', item: message('a', 'One.'), previous_item_id: 'root' })
    client.send({ type: 'conversation.item.create', item: message('c', 'Three.'), previous_item_id: 'b' })
    client.send({ type: 'conversation.item.retrieve', item_id: 'c' })
    expect(await client.until('conversation.item.retrieved')).toMatchObject({ item: { content: [{ text: 'Three.' }] } })
    client.send({ type: 'conversation.item.delete', item_id: 'b' })
    await client.until('conversation.item.deleted')
    await client.respond()
    expect(prompts).toMatchObject([{ user: 'One.\nThree.' }])
  })

  test('of the system are instructions', async () => {
    const { connect, prompts } = await started()
    const client = await connect()
    const item = { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'It is Monday.' }] }
    client.send({ type: 'conversation.item.create', item })
    client.say('Hello.')
    await client.respond()
    expect(prompts[0]?.instructions).toBe('Be kind.\n\nIt is Monday.')
  })

  test('that bring their own sound are heard', async () => {
    const { connect, prompts } = await started()
    const client = await connect()
    const item = { type: 'message', role: 'user', content: [{ type: 'input_audio', audio: silentPcm(500) }] }
    client.send({ type: 'conversation.item.create', item })
    await client.respond()
    expect(prompts).toMatchObject([{ user: 'Good morning.' }])
  })

  test('of a reply are cut to what was heard', async () => {
    const speak = async (text: string) => {
      const pcm = new Uint8Array(text.length * 4800)
      return { pcm, sampleRateHz: 24_000, model: 'fake/voice' }
    }
    const { connect, prompts } = await started({
      tts: { speak, voiceFor: async () => undefined, requireVoice: async () => {} },
    })
    const client = await connect()
    client.say('Hello.')
    const { item_id } = (await client.respond(), await client.until('response.output_audio.delta'))
    // A tenth of a second for each letter of "Hello there, Anna."
    client.send({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 1250 })
    await client.until('conversation.item.truncated')
    client.say('What?')
    await client.respond()
    expect(prompts[1]?.history).toMatchObject([{ user: 'Hello.', reply: 'Hello there,' }])
  })
})

describe('a session that only transcribes', () => {
  test('is opened by its intent, without a model, and has no responses', async () => {
    const { connect } = await started()
    const client = await connect('?intent=transcription')
    expect(client.events[0]).toMatchObject({ session: { type: 'transcription' } })
    const session = { type: 'transcription', audio: { input: { turn_detection: null } } }
    client.send({ type: 'session.update', session })
    client.send({ type: 'input_audio_buffer.append', audio: silentPcm(500) })
    client.send({ type: 'input_audio_buffer.commit' })
    const heard = await client.until('conversation.item.input_audio_transcription.completed')
    expect(heard).toMatchObject({ transcript: 'Good morning.' })
    client.send({ type: 'response.create' })
    expect((await client.until('error'))['error']).toMatchObject({ code: 'invalid_session' })
  })
})
