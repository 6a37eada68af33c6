/** The voice: a fragment of text in, its sound out; and which voices there are. */
import { HEADERS } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { languageName } from '@hearth/shared/languages'
import * as z from 'zod'
import { callService } from './service.ts'
import type { Service } from './service.ts'

/** `pcm` is s16le mono. */
export type Speech = { readonly pcm: Uint8Array; readonly sampleRateHz: number; readonly model: string }

export interface TextToSpeech {
  /**
   * Null when the text has nothing that can be said, such as a lone emoji. `voice` undefined: the service's own choice; `speed`: 1 when it is
   * left out.
   */
  speak(text: string, voice: string | undefined, signal: AbortSignal, speed?: number): Promise<Speech | null>
  /**
   * A voice for a language (a code): undefined, the service's own choice, when that speaks it, or when the language or the list of voices is not
   * known yet. Waits for nothing. Throws `voice_not_found` when no voice speaks it.
   */
  voiceFor(language: string | null, signal: AbortSignal): Promise<string | undefined>
  /** Throws `voice_not_found` when there is no such voice. */
  requireVoice(voice: string, signal: AbortSignal): Promise<void>
}

/** `response_format: "pcm"` is 24 kHz everywhere (OpenAI's definition). */
const PCM_RATE_HZ = 24_000
const VOICES_LIVE_MS = 30_000
/** What a voice is asked to say to learn whether it exists, or is back; spoken only when it does. */
export const PROBE = 'A.'

/** Other servers than Hearth's tell less: then the service chooses. */
const ListedVoice = z.object({ id: z.string(), language: z.string().optional(), default: z.boolean().optional() })
type ListedVoice = z.infer<typeof ListedVoice>
const Voices = z.object({ voices: z.array(ListedVoice) })

/** Hearth's tts service, or any server of OpenAI's `POST /v1/audio/speech`. `voicesLimitMs` bounds the look at the list of voices. */
export function createTtsClient(
  service: Service,
  { voicesLimitMs, now = () => performance.now() }: { voicesLimitMs: number; now?: () => number },
): TextToSpeech {
  let listed: readonly ListedVoice[] = []
  let known = new Set<string>()
  let knownUntil = -Infinity

  async function lookUp(signal: AbortSignal): Promise<void> {
    const read = async (response: Response) => Voices.parse(await response.json()).voices
    const limits = { limitMs: voicesLimitMs, firstByteMs: voicesLimitMs }
    const voices = await callService({ ...service, ...limits }, '/v1/audio/voices', {}, read, signal)
    listed = voices
    known = new Set(voices.map(({ id }) => id))
    knownUntil = now() + VOICES_LIVE_MS
  }

  const speak: TextToSpeech['speak'] = async (text, voice, signal, speed) => {
    const chosen = { ...(voice !== undefined && { voice }), ...(speed !== undefined && { speed }) }
    const body = JSON.stringify({ input: text, ...chosen, response_format: 'pcm' })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    const spoken = callService(service, '/v1/audio/speech', init, readSpeech, signal)
    return spoken.catch((error: unknown) => {
      if (error instanceof AppError && (error.code === 'nothing_to_speak' || error.code === 'empty_text')) return null
      throw error
    })
  }

  return {
    speak,
    async voiceFor(language, signal) {
      if (language === null) return undefined
      // Voices seldom change: an old list is good enough, and nobody waits for a new one.
      if (now() >= knownUntil) lookUp(signal).catch(() => {})
      return chooseVoice(listed, language)
    },
    async requireVoice(voice, signal) {
      if (now() >= knownUntil) await lookUp(signal)
      if (known.has(voice)) return
      // Not every name that the service knows is in its list: OpenAI's names stand for the nearest voice.
      await speak(PROBE, voice, signal)
      known.add(voice)
    },
  }
}

function chooseVoice(voices: readonly ListedVoice[], language: string): string | undefined {
  if (voices.every((voice) => voice.language === undefined)) return undefined
  const speaking = voices.filter((voice) => voice.language?.split('-')[0] === language)
  if (speaking.some((voice) => voice.default)) return undefined
  const [first] = speaking
  if (first) return first.id
  throw new AppError('voice_not_found', `expected a voice that speaks ${languageName(language)}: there is none`)
}

async function readSpeech(response: Response): Promise<Speech> {
  const type = response.headers.get('content-type') ?? ''
  // A page of a proxy would be a loud noise.
  if (/^text\/|json/i.test(type)) throw new Error(`expected sound, got ${type}`)
  const pcm = new Uint8Array(await response.arrayBuffer())
  if (pcm.length % 2 !== 0) throw new Error(`expected whole 16-bit samples, got ${pcm.length} bytes`)
  return { pcm, sampleRateHz: PCM_RATE_HZ, model: response.headers.get(HEADERS.model) ?? 'unknown' }
}
