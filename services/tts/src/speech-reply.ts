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

/** `speech.audio.delta` for each piece, `speech.audio.done` with the usage (OpenAI, audio/speech streaming). */
export async function* speechEvents({ first, rest }: Utterance, format: SoundFormat): AsyncGenerator<Uint8Array, void> {
  const said = { tokens: 0, samples: 0 }
  async function* counted(): AsyncGenerator<SpokenFragment, void> {
    for await (const fragment of rest) yield count(fragment)
  }
  function count(fragment: SpokenFragment): SpokenFragment {
    said.tokens += fragment.tokens
    said.samples += fragment.bytes.length / 2
    return fragment
  }
  const bytes = soundBytes({ first: count(first), rest: counted() }, format)
  for await (const piece of bytes)
    yield event({ type: 'speech.audio.delta', audio: Buffer.from(piece).toString('base64') })
  const output = Math.ceil((said.samples / first.sampleRateHz) * FRAMES_PER_SECOND)
  const usage = { input_tokens: said.tokens, output_tokens: output, total_tokens: said.tokens + output }
  yield event({ type: 'speech.audio.done', usage })
}

const encoder = new TextEncoder()
const event = (data: object): Uint8Array => encoder.encode(`data: ${JSON.stringify(data)}\n\n`)

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
