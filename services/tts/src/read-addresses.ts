/** Addresses (web, e-mail, IP) and telephone numbers, sign by sign as people say them. */
import type { Rule } from './read-rule.ts'

const SIGNS: Readonly<Record<string, string>> = {
  '.': ' dot ',
  '/': ' slash ',
  '-': ' dash ',
  _: ' underscore ',
  '?': ' question mark ',
  '=': ' equals ',
  '&': ' and ',
  '#': ' hash ',
  '@': ' at ',
  ':': ' colon ',
  '%': ' percent ',
  '+': ' plus ',
  '~': ' tilde ',
}
/** What a sentence ends with is not the address's. */
const ENDING = /[.,;:!?'")\]}]*$/
const DOMAINS = 'com|org|net|io|ai|dev|app|edu|gov|info|co|uk|de|fr|eu|me|tv'

export const addressRules: readonly Rule[] = [
  [/\b(?:https?|ftp):\/\/([^\s<>"]{1,2000})/gi, (_, address) => spell(address)],
  [/\bwww\.[^\s<>"]{1,2000}/gi, (address) => spell(address)],
  [/(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}/g, (address) => spell(address)],
  [
    new RegExp(
      `(?<![\\w.@-])[a-z0-9-]{1,63}(?:\\.[a-z0-9-]{1,63}){0,3}\\.(?:${DOMAINS})(?:/[^\\s<>"]{0,1000})?(?![\\w@-])`,
      'gi',
    ),
    (address) => spell(address),
  ],
  [/(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)/g, (address) => spell(address)],
  [
    /(?<![\w-])(\+?\d{1,3}[ -])?\(?(\d{3})\)?[ -](\d{3})-(\d{4})(?![\w-])/g,
    (_, country = '', ...groups) => digits([country, ...groups.slice(0, 3)]),
  ],
  [/(?<![\w-])(\d{3})-(\d{4})(?![\w-])/g, (_, ...groups) => digits(groups.slice(0, 2))],
]

function spell(address: string): string {
  const ending = ENDING.exec(address)?.[0] ?? ''
  const inner = address.slice(0, address.length - ending.length).replace(/\/$/, '')
  return (
    inner
      .replace(/[./_?=&#@:%+~-]/g, (sign) => SIGNS[sign] ?? ' ')
      .replace(/ {2,}/g, ' ')
      .trim() + ending.replace(/^\/+/, '')
  )
}

/** Digit by digit, with a breath between the groups. */
const digits = (groups: readonly string[]): string =>
  groups
    .filter((group) => group !== '')
    .map((group) => (group.startsWith('+') ? 'plus ' : '') + (group.match(/\d/g) ?? []).join(' '))
    .join(', ')
