/**
 * Which voices there are, and what a caller's name for one means. A voice is a file in the model's folder, so the
 * folder is the list; OpenAI's voice names are borrowed by the Kokoro voice of the same name or kind.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export type Language = 'en-us' | 'en-gb' | 'es' | 'fr' | 'hi' | 'it' | 'pt-br'

/** Kokoro's language is the first letter of a voice's name. Its Japanese (j) and Mandarin (z) voices stay silent: nothing here reads their scripts. */
const LANGUAGES: ReadonlyMap<string, { readonly code: Language; readonly title: string }> = new Map([
  ['a', { code: 'en-us', title: 'American' }],
  ['b', { code: 'en-gb', title: 'British' }],
  ['e', { code: 'es', title: 'Spanish' }],
  ['f', { code: 'fr', title: 'French' }],
  ['h', { code: 'hi', title: 'Hindi' }],
  ['i', { code: 'it', title: 'Italian' }],
  ['p', { code: 'pt-br', title: 'Brazilian' }],
])

/** OpenAI's voices and the Kokoro voice that stands in for each: of the same name where one exists, else of the same kind. */
const OPENAI_VOICES: ReadonlyMap<string, string> = new Map([
  ['alloy', 'af_alloy'],
  ['ash', 'am_michael'],
  ['ballad', 'bm_lewis'],
  ['cedar', 'am_adam'],
  ['coral', 'af_bella'],
  ['echo', 'am_echo'],
  ['fable', 'bm_fable'],
  ['marin', 'af_heart'],
  ['nova', 'af_nova'],
  ['onyx', 'am_onyx'],
  ['sage', 'af_sarah'],
  ['shimmer', 'af_sky'],
  ['verse', 'am_puck'],
])

/** The language a voice speaks, or undefined when nothing here can read it. */
export const languageOf = (voice: string): Language | undefined => LANGUAGES.get(voice.charAt(0))?.code

export const isEnglish = (language: Language): boolean => language === 'en-us' || language === 'en-gb'

/** The file that holds a voice's style table. `voice` must come from `listVoices`. */
export const voiceFile = (modelDir: string, voice: string): string => join(modelDir, 'voices', `${voice}.bin`)

/** The speakable voices in a model's folder, sorted; a name that is not two letters, `_` and a word is no voice. */
export function listVoices(modelDir: string): string[] {
  const folder = join(modelDir, 'voices')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .flatMap((file) => /^([a-z][fm]_[a-z0-9]+)\.bin$/.exec(file)?.[1] ?? [])
    .filter((voice) => languageOf(voice) !== undefined)
    .toSorted()
}

/** The voice in `voices` that a caller's `name` means: itself, or for an OpenAI name its stand-in; else undefined. */
export function findVoice(name: string, voices: readonly string[]): string | undefined {
  if (voices.includes(name)) return name
  const wanted = OPENAI_VOICES.get(name)
  return wanted === undefined ? undefined : nearestVoice(wanted, voices)
}

/** `wanted` if it is there, else the first English voice of the same sex (second letter), else the first of that sex, else the first one. */
export function nearestVoice(wanted: string, voices: readonly string[]): string | undefined {
  if (voices.includes(wanted)) return wanted
  const alike = voices.filter((voice) => voice.charAt(1) === wanted.charAt(1))
  return alike.find((voice) => /^[ab]/.test(voice)) ?? alike[0] ?? voices[0]
}

/** `af_heart` as people read it: "Heart (American, female)". */
export function voiceTitle(voice: string): string {
  const name = voice.slice(3)
  const accent = LANGUAGES.get(voice.charAt(0))?.title ?? 'unknown'
  return `${name.charAt(0).toUpperCase()}${name.slice(1)} (${accent}, ${voice.charAt(1) === 'f' ? 'female' : 'male'})`
}
