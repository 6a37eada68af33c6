/**
 * A caller's `voice` as the voices that speak it: one, OpenAI's name for one, or several mixed (`af_bella(2)+af_sky(1)`, Kokoro-FastAPI's
 * syntax). The one idea: everything behind this file knows a voice only as names of the folder and their shares, which add up to 1.
 */
import { AppError } from '@hearth/shared/errors'
import { findVoice, languageOf, nearestVoice } from './voices.ts'
import type { Language } from './voices.ts'

export type VoiceShare = { readonly voice: string; readonly share: number }
/** In the caller's order: the first one's language is spoken. */
export type VoiceMix = readonly VoiceShare[]

export type KnownVoices = {
  readonly voices: readonly string[]
  /** Spoken with when no voice is named; if it is not there, the nearest one. */
  readonly defaultVoice: string
}

const MAX_VOICES = 8
const MAX_WEIGHT = 100
const PART = /^([^()+\s]+)(?:\((\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})\))?$/
const EXPECTED = `a voice, or up to ${MAX_VOICES} of them with weights above 0 and up to ${MAX_WEIGHT}, such as af_bella(2)+af_sky(1)`

/** The mix of `name`, or of the default voice. Throws `voice_not_found`, and `invalid_request` for a mix that can't be read. */
export function chooseVoice(name: string | undefined, { voices, defaultVoice }: KnownVoices): VoiceMix {
  if (name === undefined) return alone(nearestVoice(defaultVoice, voices), voices)
  if (!/[()+]/.test(name)) return alone(findVoice(name, voices), voices)
  const parts = name.split('+')
  if (parts.length > MAX_VOICES) throw unreadable()
  return shares(parts.map((part) => readPart(part.trim(), voices)))
}

/** The one text for a mix: what a cache knows it by. */
export const mixKey = (mix: VoiceMix): string => mix.map(({ voice, share }) => `${voice}(${share})`).join('+')

/** The language of the first voice. Throws for a mix that `chooseVoice` never gives. */
export function languageOfMix([first]: VoiceMix): Language {
  const language = languageOf(first?.voice ?? '')
  if (language === undefined) throw new Error('expected a voice of a known language: this is a bug')
  return language
}

function alone(voice: string | undefined, voices: readonly string[]): VoiceMix {
  return [{ voice: known(voice, voices), share: 1 }]
}

function readPart(part: string, voices: readonly string[]): VoiceShare {
  const [, name, weight = '1'] = PART.exec(part) ?? []
  const share = Number(weight)
  if (name === undefined || share <= 0 || share > MAX_WEIGHT) throw unreadable()
  return { voice: known(findVoice(name, voices), voices), share }
}

function shares(parts: VoiceMix): VoiceMix {
  const weights = new Map<string, number>()
  for (const { voice, share } of parts) weights.set(voice, (weights.get(voice) ?? 0) + share)
  const total = parts.reduce((sum, { share }) => sum + share, 0)
  return Array.from(weights, ([voice, weight]) => ({ voice, share: weight / total }))
}

function known(voice: string | undefined, voices: readonly string[]): string {
  if (voice !== undefined) return voice
  throw new AppError('voice_not_found', `no voice of that name; expected one of ${voices.join(', ')}`, {
    param: 'voice',
  })
}

const unreadable = (): AppError =>
  new AppError('invalid_request', `voice: expected ${EXPECTED}; got a mix that can't be read`, { param: 'voice' })
