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

/** `de` -> `german`. */
export const languageName = (code: string): string => OWN_NAMES[code] ?? (NAMES.of(code) ?? code).toLowerCase()

/** The one of `codes` that `name` means: a code (`de`), one with a region (`de-CH`), or a name (`German`). */
export function findLanguage(name: string, codes: readonly string[]): string | undefined {
  const wanted = name.trim().toLowerCase()
  const [code = ''] = wanted.split(/[-_]/)
  return codes.find((known) => known === code) ?? codes.find((known) => languageName(known) === wanted)
}
