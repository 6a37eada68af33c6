/** Languages by Whisper's codes and OpenAI's lower-case English names; the names come from Unicode's tables. */

const NAMES = new Intl.DisplayNames('en', { type: 'language' })

/** Where Whisper's name is another than Unicode's. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  bn: 'bengali',
  mi: 'maori',
  my: 'myanmar',
  nn: 'nynorsk',
  tl: 'tagalog',
}

const nameOf = (code: string): string => OWN_NAMES[code] ?? (NAMES.of(code) ?? code).toLowerCase()

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz')
/** Unicode gives a code it does not know back as it is. */
const CODES = LETTERS.flatMap((one) => LETTERS.map((other) => one + other)).filter((code) => NAMES.of(code) !== code)
/** Made once: a name from Unicode's tables takes microseconds, and a search compares two hundred. */
const NAME_BY_CODE = new Map(CODES.map((code) => [code, nameOf(code)]))

/** `de` -> `german`. */
export const languageName = (code: string): string => NAME_BY_CODE.get(code) ?? nameOf(code)

/** The one of `codes` that `name` means: a code (`de`), one with a region (`de-CH`), or a name (`German`). */
export function findLanguage(name: string, codes: readonly string[]): string | undefined {
  const wanted = name.trim().toLowerCase()
  const [code = ''] = wanted.split(/[-_]/)
  return codes.find((known) => known === code) ?? codes.find((known) => languageName(known) === wanted)
}

/** The two-letter code (ISO 639-1) of a language told as in `findLanguage`; undefined when it has none. */
export const languageCode = (name: string): string | undefined => findLanguage(name, CODES)
