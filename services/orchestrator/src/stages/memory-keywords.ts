/** What a note is about and how much it matters, by rules: no model is asked, so that remembering works on the smallest machine. */

const MOST_KEYWORDS = 8
const SHORTEST = 3
/** Words that say nothing of what a sentence is about, in the four languages whose statements are kept. */
const EMPTY_WORDS = new Set(
  `the and but for with from that this these those have has had are was were been being you your yours our ours their they them his her its
  not very also just too all any some one two into onto over under about when where which who whom whose what how why will would can could
  should may might must shall does did done than then there here out off own same more most much many few only every each both since until
  name called live like ich mein meine meinen meiner und oder aber der die das den dem des ein eine einen einem einer mit von für auf aus bei
  nach ist sind war habe hat heiße wohne nicht auch sehr wir unser unsere mon mes nos notre nous les des une est sont avec pour dans sur mais
  que qui suis j'ai mis los las una uno unos unas con por para pero está soy tengo nuestro nuestra`.split(/\s+/),
)
const WORD = /[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu

/** At most eight words in small letters, in their order, each once. */
export function keywordsOf(text: string): string[] {
  const words = (text.toLowerCase().match(WORD) ?? []).map((word) => word.replace(/['’]s$/, ''))
  const telling = words.filter((word) => word.length >= SHORTEST && !EMPTY_WORDS.has(word))
  return [...new Set(telling)].slice(0, MOST_KEYWORDS)
}

const HEALTH_OR_FAMILY =
  /\b(?:allerg\w*|diabet\w*|asthma\w*|pregnan\w*|medic\w*|wife|husband|son|daughter|mother|father|sister|brother|child|children|krank\w*|frau|mann|sohn|tochter|mutter|vater|schwester|bruder|kind(?:er)?|femme|mari|fils|fille|mère|père|sœur|frère|esposa|marido|hij[oa]s?|madre|padre|herman[oa])\b/iu
const TASTE =
  /\b(?:love|hate|like|prefer|favou?rite|never|always|liebe|mag|hasse|nie|immer|aime|adore|déteste|jamais|toujours|gusta|encanta|odio|prefiero|nunca|siempre)\b/iu

/** From 0 to 1: what a person is known by, then health and family, then taste, then all else. */
export function importanceOf(text: string, topic: string | null): number {
  if (topic !== null) return 0.9
  if (HEALTH_OR_FAMILY.test(text)) return 0.8
  return TASTE.test(text) ? 0.6 : 0.5
}
