/** The voice: a fragment of text in, its sound out; and which voices there are. */
import { HEADERS } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import * as z from 'zod'
import { callService } from './service.ts'
import type { Service } from './service.ts'

/** `pcm` is s16le mono. */
export type Speech = { readonly pcm: Uint8Array; readonly sampleRateHz: number; readonly model: string }

export interface TextToSpeech {
  /** Null when the text has nothing that can be said, such as a lone emoji. `voice` undefined: the service's own choice. */
  speak(text: string, voice: string | undefined, signal: AbortSignal): Promise<Speech | null>
  /** Throws `voice_not_found` when there is no such voice. */
  requireVoice(voice: string, signal: AbortSignal): Promise<void>
}

/** `response_format: "pcm"` is 24 kHz everywhere (OpenAI's definition). */
const PCM_RATE_HZ = 24_000
const VOICES_LIVE_MS = 30_000
/** What a voice is asked to say to learn whether it exists, or is back; spoken only when it does. */
export const PROBE = 'A.'

const Voices = z.object({ voices: z.array(z.object({ id: z.string() })) })

/** Hearth's tts service, or any server of OpenAI's `POST /v1/audio/speech`. `voicesLimitMs` bounds the look at the list of voices. */
export function createTtsClient(
  service: Service,
  { voicesLimitMs, now = () => performance.now() }: { voicesLimitMs: number; now?: () => number },
): TextToSpeech {
  let known = new Set<string>()
  let knownUntil = -Infinity

  async function lookUp(signal: AbortSignal): Promise<void> {
    const read = async (response: Response) => Voices.parse(await response.json()).voices
    const voices = await callService(
      { ...service, limitMs: voicesLimitMs, firstByteMs: voicesLimitMs },
      '/v1/audio/voices',
      {},
      read,
      signal,
    )
    known = new Set(voices.map(({ id }) => id))
    knownUntil = now() + VOICES_LIVE_MS
  }

  async function speak(text: string, voice: string | undefined, signal: AbortSignal): Promise<Speech | null> {
    const body = JSON.stringify({ input: text, ...(voice !== undefined && { voice }), response_format: 'pcm' })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    const spoken = callService(service, '/v1/audio/speech', init, readSpeech, signal)
    return spoken.catch((error: unknown) => {
      if (error instanceof AppError && (error.code === 'nothing_to_speak' || error.code === 'empty_text')) return null
      throw error
    })
  }

  return {
    speak,
    async requireVoice(voice, signal) {
      if (now() >= knownUntil) await lookUp(signal)
      if (known.has(voice)) return
      // Not every name that the service knows is in its list: OpenAI's names stand for the nearest voice.
      await speak(PROBE, voice, signal)
      known.add(voice)
    },
  }
}

async function readSpeech(response: Response): Promise<Speech> {
  const type = response.headers.get('content-type') ?? ''
  // A page of a proxy would be a loud noise.
  if (/^text\/|json/i.test(type)) throw new Error(`expected sound, got ${type}`)
  const pcm = new Uint8Array(await response.arrayBuffer())
  if (pcm.length % 2 !== 0) throw new Error(`expected whole 16-bit samples, got ${pcm.length} bytes`)
  return { pcm, sampleRateHz: PCM_RATE_HZ, model: response.headers.get(HEADERS.model) ?? 'unknown' }
}
