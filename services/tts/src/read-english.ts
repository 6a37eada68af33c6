/**
 * English as it is written, made into English as it is said, where eSpeak NG would say it otherwise (it says plain numbers, ordinals, and
 * abbreviations without a stop itself). The one idea: a table of rules in order, each a pattern and its words. Every pattern is bounded, so that
 * no text takes long.
 */
import { addressRules } from './read-addresses.ts'
import { AMOUNT, count, moneyRules } from './read-money.ts'
import { timeRules } from './read-times.ts'
import { unitRules } from './read-units.ts'
import type { Rule } from './read-rule.ts'
import type { Language } from './voices.ts'

const TITLES: Readonly<Record<string, string>> = {
  mr: 'Mister',
  mrs: 'Missus',
  ms: 'Miz',
  dr: 'Doctor',
  prof: 'Professor',
  jr: 'Junior',
  sr: 'Senior',
  vs: 'versus',
  etc: 'et cetera',
  approx: 'approximately',
  dept: 'department',
  gov: 'Governor',
  gen: 'General',
  sen: 'Senator',
  rev: 'Reverend',
  capt: 'Captain',
  sgt: 'Sergeant',
  lt: 'Lieutenant',
  mt: 'Mount',
  ave: 'Avenue',
  blvd: 'Boulevard',
  inc: 'Incorporated',
  ltd: 'Limited',
  corp: 'Corporation',
  'e.g': 'for example',
  'i.e': 'that is',
}
const SHORT_TITLES = Object.keys(TITLES)
  .map((short) => short.replace('.', '\\.'))
  .join('|')
const BEFORE_NUMBERS: Readonly<Record<string, string>> = {
  no: 'number',
  nos: 'numbers',
  fig: 'figure',
  figs: 'figures',
  vol: 'volume',
  ch: 'chapter',
  sec: 'section',
  p: 'page',
  pp: 'pages',
}
const FRACTIONS: Readonly<Record<string, string>> = {
  2: 'half',
  3: 'third',
  4: 'quarter',
  5: 'fifth',
  8: 'eighth',
  10: 'tenth',
}
const ROMAN: Readonly<Record<string, number>> = {
  II: 2,
  III: 3,
  IV: 4,
  VI: 6,
  VII: 7,
  VIII: 8,
  IX: 9,
  XI: 11,
  XII: 12,
  XIII: 13,
  XIV: 14,
  XV: 15,
  XVI: 16,
}

/** Abbreviations whose full stop ends no sentence. Only those with one reading. */
const abbreviations: readonly Rule[] = [
  // At the end of a text the stop is also the sentence's.
  [new RegExp(`\\b(${SHORT_TITLES})\\.(?=\\s*$)`, 'gi'), (whole, short) => `${TITLES[short.toLowerCase()] ?? whole}.`],
  [new RegExp(`\\b(${SHORT_TITLES})\\.`, 'gi'), (whole, short) => TITLES[short.toLowerCase()] ?? whole],
  [/\b(nos?|figs?|vol|ch|sec|pp?)\. ?(?=\d)/gi, (whole, short) => `${BEFORE_NUMBERS[short.toLowerCase()] ?? whole} `],
  [/\bSt\. (?=\p{Lu})/gu, 'Saint '],
  [/\bw\/o\b/g, 'without'],
  [/\bw\/ ?(?=\p{L})/gu, 'with '],
  // Initials, and letters with stops, inside of a sentence.
  [
    /(?<![\p{L}\p{N}.])(\p{Lu})\. (?=\p{Lu}(?:\.|\p{Ll}))/gu,
    (whole, letter) => (letter === 'I' ? whole : `${letter} `),
  ],
  [/\b((?:\p{L}\.){1,5}\p{L})\.(?= \p{Ll}|,)/gu, '$1'],
  [/\b(C|F)#(?![\p{L}\p{N}])/gu, '$1 sharp'],
  [/\bC\+\+/g, 'C plus plus'],
  [
    /(?<=\p{Lu}\p{Ll}{1,30} )(II|III|IV|VI|VII|VIII|IX|XI|XII|XIII|XIV|XV|XVI)\b/gu,
    (numeral) => String(ROMAN[numeral]),
  ],
]

const numbers: readonly Rule[] = [
  [/(?<![\w.])#(?=\d)/g, 'number '],
  [/(?<!\w)#(?=\p{L})/gu, 'hashtag '],
  [/(?<![\w.])\.(?=\d)/g, '0.'],
  [
    /(\d)([½¼¾])/g,
    (_, digit, part) => `${digit} and ${{ '½': 'a half', '¼': 'a quarter', '¾': '3 quarters' }[part] ?? part}`,
  ],
  [/(?<![\w./])([1-9])\/(2|3|4|5|8|10)(?![\w./])/g, (whole, top, bottom) => fraction(whole, Number(top), bottom)],
  [/(?<![\w./])24\/7(?![\w./])/g, '24 7'],
  [
    /(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)[eE]([-+]?)(\d{1,4})\b/g,
    (_, digits, sign, power) => `${digits} times 10 to the ${sign === '-' ? 'minus ' : ''}${power}`,
  ],
  [/(?<=\w)\^(?=\d|-\d)/g, ' to the power of '],
  [/(?<=[\p{L}\d)])²/gu, ' squared'],
  [/(?<=[\p{L}\d)])³/gu, ' cubed'],
  [/(?<=\d) ?[*×] ?(?=\d)/g, ' times '],
  [/(?<=\d)x(?=\d)/g, ' by '],
  [new RegExp(`(?<![\\w.])(${AMOUNT})k\\b`, 'g'), (_, amount) => `${amount} thousand`],
  // Years as people say them: twenty twenty-six, nineteen oh five.
  [
    /(?<![\w.,:/$€£¥-])(1[1-9]|20)(\d\d)(s?)(?![\w:/]|[.,]\d)/g,
    (whole, century, year, plural) => sayYear(whole, century, year, plural),
  ],
  [/(?<=\d)[-–](?=\d)/g, ' to '],
]

const signs: readonly Rule[] = [
  [/ ?<= ?|≤/g, ' is at most '],
  [/ ?>= ?|≥/g, ' is at least '],
  [/(?<=[\w)]) < (?=[\w(])/g, ' is less than '],
  [/(?<=[\w)]) > (?=[\w(])/g, ' is greater than '],
  [/ ?(?:->|=>|→) ?/g, ' to '],
  [/≈ ?|(?<!\w)~(?=\d)/g, 'about '],
  [/ ?≠ ?/g, ' is not '],
]

/** The text in words that an English voice says as people do. */
export function readEnglish(text: string, language: Language): string {
  const rules = [
    ...addressRules,
    ...signs,
    ...timeRules(language),
    ...moneyRules,
    ...unitRules,
    ...abbreviations,
    ...numbers,
  ]
  return rules.reduce(
    (said, [pattern, words]) =>
      typeof words === 'string' ? said.replace(pattern, words) : said.replace(pattern, words),
    text,
  )
}

function fraction(whole: string, top: number, bottom: string): string {
  if (top >= Number(bottom)) return whole
  if (bottom === '2') return 'one half'
  return count(String(top), FRACTIONS[bottom] ?? whole)
}

function sayYear(whole: string, century: string, year: string, plural: string): string {
  if (year === '00' || (century === '20' && year < '10')) return whole
  return `${century} ${year < '10' ? `oh ${Number(year)}` : year}${plural}`
}
