/**
 * OpenAI's beta form of the realtime protocol (`OpenAI-Beta: realtime=v1`), brought into the GA form and back. Everything inside Hearth speaks
 * GA; here is all that the older clients see otherwise.
 */
import type { ServerEvent } from './server-events.ts'

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

/** Without what was not given. */
const given = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const FORMATS: Readonly<Record<string, string>> = {
  pcm16: 'audio/pcm',
  g711_ulaw: 'audio/pcmu',
  g711_alaw: 'audio/pcma',
}
const BETA_FORMATS = new Map(Object.entries(FORMATS).map(([beta, ga]) => [ga, beta]))

/** An unknown format stays as it is, to be refused by its name. */
const formatOf = (name: unknown): unknown =>
  name == null ? name : { type: typeof name === 'string' ? (FORMATS[name] ?? name) : name }
const betaFormat = (format: unknown): unknown => BETA_FORMATS.get(String(fieldsOf(format)['type']))

/** A frame of a beta client, in the GA form; checked by nobody yet. */
export function fromBeta(frame: Fields): Fields {
  switch (frame['type']) {
    case 'session.update':
      return { ...frame, session: { type: 'realtime', ...sessionOf(fieldsOf(frame['session'])) } }
    case 'transcription_session.update':
      return {
        ...frame,
        type: 'session.update',
        session: { ...sessionOf(fieldsOf(frame['session'])), type: 'transcription' },
      }
    case 'response.create':
      return isFields(frame['response']) ? { ...frame, response: responseOf(frame['response']) } : frame
    default:
      return frame
  }
}

function sessionOf(session: Fields): Fields {
  const { modalities, voice, speed, temperature, instructions, tools, tool_choice } = session
  const input = given({
    format: formatOf(session['input_audio_format']),
    transcription: session['input_audio_transcription'],
    turn_detection: session['turn_detection'],
  })
  const output = given({ format: formatOf(session['output_audio_format']), voice, speed })
  return given({
    output_modalities: modalities,
    instructions,
    tools,
    tool_choice,
    temperature,
    max_output_tokens: session['max_response_output_tokens'],
    audio: { input, output },
  })
}

function responseOf(response: Fields): Fields {
  const { modalities, voice, output_audio_format, max_response_output_tokens, ...rest } = response
  return given({
    ...rest,
    output_modalities: modalities,
    max_output_tokens: max_response_output_tokens ?? rest['max_output_tokens'],
    audio: { output: given({ format: formatOf(output_audio_format), voice }) },
  })
}

const NAMES: Readonly<Record<string, string>> = {
  'response.output_text.delta': 'response.text.delta',
  'response.output_text.done': 'response.text.done',
  'response.output_audio.delta': 'response.audio.delta',
  'response.output_audio.done': 'response.audio.done',
  'response.output_audio_transcript.delta': 'response.audio_transcript.delta',
  'response.output_audio_transcript.done': 'response.audio_transcript.done',
  'conversation.item.added': 'conversation.item.created',
}

/** The event as a beta client knows it; null when it knows none. */
export function toBeta(event: ServerEvent): object | null {
  if (event.type === 'conversation.item.done') return null
  const type = NAMES[event.type] ?? event.type
  if ('session' in event) return { ...event, ...betaSession(event.type, fieldsOf(event.session)) }
  if ('response' in event) return { ...event, type, response: betaResponse(fieldsOf(event.response)) }
  if ('item' in event) return { ...event, type, item: betaItem(fieldsOf(event.item)) }
  return { ...event, type }
}

function betaSession(type: string, session: Fields): Fields {
  const audio = fieldsOf(session['audio'])
  const [input, output] = [fieldsOf(audio['input']), fieldsOf(audio['output'])]
  const hears = {
    id: session['id'],
    input_audio_format: betaFormat(input['format']),
    input_audio_transcription: input['transcription'],
    input_audio_noise_reduction: input['noise_reduction'],
    turn_detection: input['turn_detection'],
  }
  if (session['type'] === 'transcription') return { type: `transcription_${type}`, session: given(hears) }
  const { model, instructions, tools, tool_choice, temperature, tracing } = session
  const told = {
    object: 'realtime.session',
    model,
    modalities: betaModalities(session),
    instructions,
    voice: output['voice'],
    speed: output['speed'],
    ...hears,
    output_audio_format: betaFormat(output['format']),
    tools,
    tool_choice,
    temperature,
    max_response_output_tokens: session['max_output_tokens'],
    tracing,
  }
  return { type, session: given(told) }
}

/** Who is spoken to can read along. */
const betaModalities = (of: Fields): readonly string[] =>
  Array.isArray(of['output_modalities']) && of['output_modalities'].includes('audio') ? ['text', 'audio'] : ['text']

function betaResponse(response: Fields): Fields {
  const { output_modalities: _, audio, output, max_output_tokens, ...rest } = response
  const { format, voice } = fieldsOf(fieldsOf(audio)['output'])
  return given({
    ...rest,
    modalities: betaModalities(response),
    output: Array.isArray(output) ? output.map((item) => betaItem(fieldsOf(item))) : output,
    voice,
    output_audio_format: betaFormat(format),
    max_output_tokens,
  })
}

function betaItem(item: Fields): Fields {
  const { content } = item
  if (!Array.isArray(content)) return item
  const parts = content.map((part) => {
    const { type, ...rest } = fieldsOf(part)
    return { type: String(type).replace(/^output_/, ''), ...rest }
  })
  return { ...item, content: parts }
}
