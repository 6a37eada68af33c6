/**
 * What is worth remembering of what a user said: sentences in which they state something about themselves. A small rule by
 * first words in English, German, French and Spanish; it would rather miss a sentence than keep a question or a command.
 */
import { splitSentences } from '@hearth/shared/sentences'

/** A longer sentence is not kept; neither are the pieces it could be cut into. */
const LONGEST = 500
const FEWEST_WORDS = 3

/** Said before the point: kept out of the stored sentence. */
const OPENING =
  /^(?:(?:well|so|and|but|oh|okay|ok|yes|no|actually|by the way|hello|hi|hey|also|ja|nein|hallo|übrigens|bonjour|oui|alors|hola|sí|bueno)\b[,:]?\s+)+/iu
const REQUEST_TO_REMEMBER =
  /^(?:please\s+|bitte\s+|por favor,?\s+)?(?:remember|don't forget|do not forget|note|merk(?:e)? dir|denk(?:e)? daran|souviens-toi|rappelle-toi|n'oublie pas|recuerda|no olvides)(?:\s+please|\s+bitte)?,?\s+(?:that|dass|que|qu')?\s*/iu

/** A sentence that begins so is about who speaks. */
const FIRST_PERSON =
  /^(?:i|i['’](?:m|ve|d|ll|was)|my|mine|we|we['’](?:re|ve)|our|ich|mein(?:e[nmrs]?)?|wir|unser(?:e[nmrs]?)?|je|moi|mon|ma|mes|nous|notre|nos|yo|mi|mis|me (?:llamo|gustan?|encantan?)|nuestr[oa]s?|soy|vivo|tengo|trabajo|nací|prefiero)(?=[\s,]|$)|^j['’]\p{L}/iu
/** "The name of my dog is Rex", "Both of our children are called ..." */
const ABOUT_MINE =
  /^(?:the|this|that|one|both|all|der|die|das|le|la|les|el|los|las)\s.*\b(?:my|our|mein\w*|unser\w*|mon|ma|mes|mi|mis)\b/iu
/** Wishes of the moment and talk about the talk. */
const PASSING =
  /^(?:i (?:want|need|would like|wish|think|guess|mean|hope|see|know|understand|don['’]t|do not|didn['’]t|can['’]?t|cannot|can|said)|i['’]d like|ich (?:will|möchte|brauche|glaube|weiß|kann|meine|hätte)|je (?:veux|voudrais|pense|sais|crois|peux)|yo (?:quiero|creo|sé))\b/iu

/** The sentences of `text` to keep, as the user said them, without "remember that". */
export function statementsOf(text: string): string[] {
  return splitSentences(text, { maxChars: LONGEST * 4 }).flatMap((sentence) => statementIn(sentence.trim()) ?? [])
}

function statementIn(sentence: string): string | null {
  if (sentence.endsWith('?') || sentence.length > LONGEST) return null
  const said = sentence.replace(OPENING, '')
  const point = said.replace(REQUEST_TO_REMEMBER, '')
  const isAsked = point !== said
  if (point.split(/[\s'’]+/).length < FEWEST_WORDS || PASSING.test(point)) return null
  if (!FIRST_PERSON.test(point) && !ABOUT_MINE.test(point) && !isAsked) return null
  return point.charAt(0).toUpperCase() + point.slice(1)
}

/** Of these a person has one at a time: a later statement of the same topic takes the place of an earlier one. */
const TOPICS: readonly (readonly [topic: string, begins: RegExp])[] = [
  [
    'name',
    /^(?:my name is|i(?:['’]m| am) called|ich heiße|mein name ist|je m['’]appelle|mon nom est|me llamo|mi nombre es)\b/iu,
  ],
  ['home', /^(?:i live in|i(?:['’]ve| have)? (?:just )?moved to|ich wohne in|ich lebe in|j['’]habite|vivo en)\b/iu],
  ['birthday', /^(?:my birthday is|i was born on|mein geburtstag ist|mon anniversaire est|mi cumpleaños es)\b/iu],
  ['age', /^(?:i(?:['’]m| am) \d+ years old|ich bin \d+ jahre alt|j['’]ai \d+ ans|tengo \d+ años)/iu],
  ['job', /^(?:i work as|i(?:['’]m| am) working as|ich arbeite als|je travaille comme|trabajo como)\b/iu],
]
/** "My dog is called", "The name of my dog is", "My favourite colour is": the topic is what stands in the middle. */
const NAMED = [
  ['called', /^my ((?:\S+ ){0,2}\S+?)(?:['’]s name is| is called| is named)\b/iu],
  ['called', /^the name of my ((?:\S+ ){0,2}\S+) is\b/iu],
  ['favourite', /^my favou?rite ((?:\S+ )?\S+) is\b/iu],
] as const

/** Of what a person has one at a time, and what the statement is about; null when it is nothing of that kind. */
export function topicOf(statement: string): string | null {
  const known = TOPICS.find(([, begins]) => begins.test(statement))
  if (known) return known[0]
  for (const [kind, pattern] of NAMED) {
    const [, what] = pattern.exec(statement) ?? []
    if (what !== undefined) return `${kind}:${what.toLowerCase()}`
  }
  return null
}
