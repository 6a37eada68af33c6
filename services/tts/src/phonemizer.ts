/**
 * Text to phonemes. English by `phonemizer`, whose symbols Kokoro's English voices were trained on; the other languages by eSpeak NG whole,
 * loaded when one is first spoken. `phonemizer` is Apache-2.0 around eSpeak NG (GPL-3.0) in WASM: this is the only file that loads it.
 */
import { loadEspeak } from './espeak.ts'
import type { SayWithEspeak } from './espeak.ts'
import { isEnglish } from './voices.ts'
import type { Language } from './voices.ts'

/** Lines of IPA for some words. */
export type Phonemize = (text: string, language: Language) => Promise<string[]>

/** Loads it. It would take over the thread's last-resort error handlers; those are taken out again. */
export async function loadPhonemizer(): Promise<Phonemize> {
  const exceptions = new Set(process.listeners('uncaughtException'))
  const rejections = new Set(process.listeners('unhandledRejection'))
  const { phonemize } = await import('phonemizer')
  const added = process.listeners('uncaughtException').filter((listener) => !exceptions.has(listener))
  const addedToo = process.listeners('unhandledRejection').filter((listener) => !rejections.has(listener))
  for (const listener of added) process.removeListener('uncaughtException', listener)
  for (const listener of addedToo) process.removeListener('unhandledRejection', listener)
  let others: Promise<SayWithEspeak> | undefined
  return async (text, language) => {
    // eSpeak knows no `en-gb`, and an unknown name keeps the voice of the call before in silence.
    if (isEnglish(language)) return phonemize(text, language === 'en-us' ? 'en-us' : 'en')
    others ??= loadEspeak()
    const say = await others
    return say(text, { language }).ipa.map(kokoroLine)
  }
}

const WARM_UP_TEXT = 'The lights in the kitchen are off and it will rain in London tomorrow at ten thirty. '.repeat(10)

/** Speaks to itself, four times to the end: until V8 has compiled eSpeak's WASM the first texts take 5 to 50 times as long as the later ones. */
export async function warmPhonemizer(phonemize: Phonemize): Promise<void> {
  await phonemize(WARM_UP_TEXT, 'en-us')
}

/** Kokoro has one sign for sounds that eSpeak writes with two. */
const ONE_SIGN: Readonly<Record<string, string>> = {
  aɪ: 'I',
  aʊ: 'W',
  dz: 'ʣ',
  dʒ: 'ʤ',
  eɪ: 'A',
  oʊ: 'O',
  əʊ: 'Q',
  ts: 'ʦ',
  tʃ: 'ʧ',
  ɔɪ: 'Y',
}

/** A line of eSpeak's phonemes as Kokoro's other voices know them; marks of a change of language, `(en)`, go. */
function kokoroLine(line: string): string {
  const inOneSign = (phoneme: string): string => phoneme.replace(/[^ˈˌ]+/u, (sound) => ONE_SIGN[sound] ?? sound)
  const word = (phonemes: string): string => phonemes.split('_').map(inOneSign).join('')
  return line
    .replace(/\([a-z-]{2,8}\)/g, '')
    .split(' ')
    .map(word)
    .join(' ')
}
