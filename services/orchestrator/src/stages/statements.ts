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

/** Of these a person has one at a time: what comes behind replaces what was said before. */
const ONE_AT_A_TIME =
  /^(?:my name is|i(?:['’]m| am) called|my (?:\S+ ){1,3}is called|my favou?rite (?:\S+ ){1,2}is|i live in|my birthday is|ich heiße|mein name ist|ich wohne in|ich lebe in|mein geburtstag ist|je m['’]appelle|mon nom est|j['’]habite|me llamo|mi nombre es|vivo en|mi cumpleaños es)\b/iu

/** Without the statements that an earlier one of the list contradicts: "My name is Ann." takes out "My name is Anna." */
export function withoutOutdated(newestFirst: readonly string[]): string[] {
  const topics = new Set<string>()
  return newestFirst.filter((statement) => {
    const topic = ONE_AT_A_TIME.exec(statement)?.[0].toLowerCase()
    if (topic === undefined) return true
    const isNew = !topics.has(topic)
    topics.add(topic)
    return isNew
  })
}
