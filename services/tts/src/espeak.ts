/**
 * eSpeak NG in WebAssembly, with the sound and the phonemes of some text. GPL-3.0 code, from the package `@echogarden/espeak-ng-emscripten`: this
 * is the only file that loads it (see docs/licences.md).
 */
import type { EspeakWorker } from '@echogarden/espeak-ng-emscripten'
import type { TimedWord } from './speech.ts'
import type { Language } from './voices.ts'

/** eSpeak's names of the languages. */
const NAMES = {
  'en-us': 'en-us',
  'en-gb': 'en',
  es: 'es',
  fr: 'fr',
  hi: 'hi',
  it: 'it',
  'pt-br': 'pt-br',
} as const satisfies Record<Language, string>

/** Its variants of a voice by the second letter of Kokoro's names. */
const VARIANTS: Readonly<Record<string, string>> = { f: '+f3', m: '+m3' }

/** Words a minute at speed 1, and the bounds within which it keeps to what it is told. */
const RATE = { usual: 175, least: 80, most: 450 }

export type EspeakVoice = {
  readonly language: Language
  /** `f` or `m`; eSpeak's own voice without it. */
  readonly sex?: string
  readonly speed?: number
}

export type EspeakSpeech = {
  readonly samples: Float32Array
  readonly sampleRateHz: number
  /** A line for each clause, a space between words, `_` between phonemes. */
  readonly ipa: readonly string[]
  readonly words: readonly TimedWord[]
}

export type SayWithEspeak = (text: string, voice: EspeakVoice) => EspeakSpeech

/** Loads it: a tenth of a second and 60 MB. What is said then takes about a hundredth of its duration; speeds beyond 0.46 and 2.6 are as those. */
export async function loadEspeak(): Promise<SayWithEspeak> {
  const { default: load } = await import('@echogarden/espeak-ng-emscripten')
  const { eSpeakNGWorker: Worker } = await load()
  const worker = new Worker()
  return (text, { language, sex = '', speed = 1 }) => {
    if (worker.set_voice(NAMES[language] + (VARIANTS[sex] ?? '')) !== 0)
      throw new Error(`expected eSpeak NG to have a voice for ${language}`)
    worker.set_rate(Math.round(Math.min(RATE.most, Math.max(RATE.least, RATE.usual * speed))))
    return collect(worker, text)
  }
}

function collect(worker: EspeakWorker, text: string): EspeakSpeech {
  const sounds: Int16Array[] = []
  const characters = Array.from(text)
  const words: TimedWord[] = []
  let word: { word: string; startMs: number } | undefined
  const endWord = (endMs: number): void => {
    if (word !== undefined) words.push({ ...word, endMs })
    word = undefined
  }
  const trace = worker.synthesize_and_get_phonemes(text, (samples, events) => {
    sounds.push(samples)
    for (const { type, text_position: position, word_length: length, audio_position: atMs } of events) {
      if (type === 'word' || type === 'end') endWord(atMs)
      if (type === 'word')
        word = { word: characters.slice(position - 1, position - 1 + length).join(''), startMs: atMs }
    }
    return false
  })
  const samples = new Float32Array(sounds.reduce((sum, sound) => sum + sound.length, 0))
  const sampleRateHz = worker.get_samplerate()
  endWord((samples.length / sampleRateHz) * 1000)
  let at = 0
  for (const sound of sounds) for (const sample of sound) samples[at++] = sample / 32_768
  return { samples, sampleRateHz, ipa: trace.split('\n').filter((line) => line !== ''), words }
}
