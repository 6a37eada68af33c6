/**
 * A speech on its way to the caller: its first fragment is there, the others come as they are made. Either the bytes of a sound file, or OpenAI's
 * events with the same bytes in them (`stream_format: "sse"`).
 */
import { SOUND_FORMATS } from './sound-format.ts'
import type { SoundFormat } from './sound-format.ts'
import type { SpokenFragment } from './speak.ts'

export type Utterance = { readonly first: SpokenFragment; readonly rest: AsyncGenerator<SpokenFragment, void> }

/** Kokoro predicts 40 frames a second, which is the nearest to tokens of sound. */
const FRAMES_PER_SECOND = 40

/** The file's bytes, made only as fast as they are read. */
export const soundBytes = ({ first, rest }: Utterance, format: SoundFormat): AsyncGenerator<Uint8Array, void> =>
  SOUND_FORMATS[format].encode(pcmOf(first, rest), first.sampleRateHz)

/** How events are written: OpenAI's server-sent events, or a line of JSON each. */
export const EVENT_LINES = {
  sse: { mediaType: 'text/event-stream; charset=utf-8', write: (data: string) => `data: ${data}\n\n` },
  jsonl: { mediaType: 'application/x-ndjson', write: (data: string) => `${data}\n` },
} as const

type EventOptions = {
  readonly format: SoundFormat
  readonly lines: keyof typeof EVENT_LINES
  /** Whether the words are told with their times: `speech.audio.words`, before the sound of theirs that it comes with. */
  readonly withWords: boolean
}

const encoder = new TextEncoder()

/** `speech.audio.delta` for each piece, `speech.audio.done` with the usage (OpenAI, audio/speech streaming). */
export async function* speechEvents(utterance: Utterance, options: EventOptions): AsyncGenerator<Uint8Array, void> {
  const { write } = EVENT_LINES[options.lines]
  for await (const event of events(utterance, options)) yield encoder.encode(write(JSON.stringify(event)))
}

async function* events({ first, rest }: Utterance, { format, withWords }: EventOptions): AsyncGenerator<object, void> {
  const said = { tokens: 0, samples: 0 }
  const untold: SpokenFragment[] = []
  async function* counted(): AsyncGenerator<SpokenFragment, void> {
    for await (const fragment of rest) yield count(fragment)
  }
  function count(fragment: SpokenFragment): SpokenFragment {
    said.tokens += fragment.tokens
    said.samples += fragment.bytes.length / 2
    if (withWords && fragment.words.length > 0) untold.push(fragment)
    return fragment
  }
  const bytes = soundBytes({ first: count(first), rest: counted() }, format)
  for await (const piece of bytes) {
    yield* untold.splice(0).map(wordsEvent)
    yield { type: 'speech.audio.delta', audio: Buffer.from(piece).toString('base64') }
  }
  yield* untold.map(wordsEvent)
  const output = Math.ceil((said.samples / first.sampleRateHz) * FRAMES_PER_SECOND)
  const usage = { input_tokens: said.tokens, output_tokens: output, total_tokens: said.tokens + output }
  yield { type: 'speech.audio.done', usage }
}

/** Seconds from the start, as OpenAI tells the words of a transcription. */
function wordsEvent({ words, isEstimated }: SpokenFragment): object {
  const seconds = (ms: number): number => Math.round(ms) / 1000
  const told = words.map(({ word, startMs, endMs }) => ({ word, start: seconds(startMs), end: seconds(endMs) }))
  return { type: 'speech.audio.words', words: told, estimated: isEstimated }
}

async function* pcmOf(
  first: SpokenFragment,
  rest: AsyncGenerator<SpokenFragment, void>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield first.bytes
    for await (const { bytes } of rest) if (bytes.length > 0) yield bytes
  } finally {
    // A reader may leave before the loop has begun.
    await rest.return()
  }
}
