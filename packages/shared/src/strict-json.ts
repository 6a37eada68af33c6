/**
 * JSON.parse for texts from outside: what it lets through and programs stumble over later is refused. The idea: one quick walk over the
 * brackets and keys before the parser, which still decides what is JSON at all.
 */
import { AppError } from './errors.ts'

const MAX_DEPTH = 100
const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * Throws `invalid_json` (broken, empty, nested deeper than 100), `duplicate_field` (a key twice in one object), `unknown_field`
 * (`__proto__`), `invalid_encoding` (half of a surrogate pair). Messages and causes never hold the text.
 */
export function parseStrictJson(text: string): unknown {
  checkStructure(text)
  // In a well-formed text, half a pair can only come from an escape.
  if (/\\u[dD][89a-fA-F]/.test(text)) return parse(text, refuseHalfPairs)
  return parse(text)
}

function parse(text: string, reviver?: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch (error) {
    if (error instanceof AppError) throw error
    // The parser's own error quotes the text, which may be what somebody said.
    throw new AppError('invalid_json', 'expected JSON, got text that is not')
  }
}

function refuseHalfPairs(key: string, value: unknown): unknown {
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed()))
    throw new AppError('invalid_encoding', 'a text holds half of a surrogate pair')
  return value
}

/** Depth and keys. In broken JSON it may see things that aren't there, but then the parser refuses anyway: only depth and keys throw here. */
function checkStructure(text: string): void {
  /** For each open bracket the keys of its object, or null for a list. */
  const open: (Set<string> | null)[] = []
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      const end = endOfString(text, at)
      if (expectsKey) addKey(open.at(-1), text.slice(at, end + 1))
      expectsKey = false
      at = end
    } else if (char === OPEN_OBJECT || char === OPEN_LIST) {
      open.push(char === OPEN_OBJECT ? new Set() : null)
      if (open.length > MAX_DEPTH) throw new AppError('invalid_json', `the JSON is nested deeper than ${MAX_DEPTH}`)
      expectsKey = char === OPEN_OBJECT
    } else if (char === CLOSE_OBJECT || char === CLOSE_LIST) {
      open.pop()
      expectsKey = false
    } else if (char === COMMA) expectsKey = open.at(-1) instanceof Set
  }
}

/** The index of the closing quote, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
  }
  return text.length
}

function addKey(keys: Set<string> | null | undefined, quoted: string): void {
  const key = quoted.includes('\\') ? String(parse(quoted)) : quoted.slice(1, -1)
  if (key === '__proto__') throw new AppError('unknown_field', 'unknown field: __proto__', { param: key })
  if (keys?.has(key)) throw new AppError('duplicate_field', 'a field came twice', { param: key.slice(0, 80) })
  keys?.add(key)
}
