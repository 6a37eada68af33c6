/** The language of typed text, by its letters and their neighbours (ELD, n-grams): docs/decisions/0009-language-detection.md. */
import { eld } from 'eld/extrasmall'

/** Two-letter code (ISO 639-1); undefined for what is too short or too mixed to tell. */
export function detectLanguage(text: string): string | undefined {
  const found = eld.detect(text)
  return found.isReliable() ? found.language : undefined
}
