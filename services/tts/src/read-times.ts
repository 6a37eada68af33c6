/** Dates and times of day. A date in digits is read in the order of the voice's country. */
import type { Rule } from './read-rule.ts'
import type { Language } from './voices.ts'

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const SHORT = 'Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec'
const LONG = MONTHS.join('|')
const CLOCK = '(\\d|[01]\\d|2[0-3]):([0-5]\\d)(?::([0-5]\\d))?'

export const timeRules = (language: Language): readonly Rule[] => [
  [
    /(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?:T(?=\d\d:))?(?![\w]*-)/g,
    (whole, year, month, day) => sayDate(whole, { year, month, day }, language),
  ],
  [
    /(?<![\w/.])(\d{1,2})\/(\d{1,2})\/(\d{4})(?![\w/])/g,
    (whole, first, second, year) => sayDate(whole, inOrder(first, second, year, language), language),
  ],
  [
    /(?<![\w.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\w/])/g,
    (whole, day, month, year) => sayDate(whole, { year, month, day }, language),
  ],
  [new RegExp(`\\b(${SHORT})\\.?(?= \\d)`, 'g'), (_, short) => longMonth(short)],
  [new RegExp(`(?<=\\d )(${SHORT})\\b\\.?`, 'g'), (_, short) => longMonth(short)],
  [
    new RegExp(`\\b(${LONG}) (\\d{1,2})(?![\\d:.]\\d|\\d|st|nd|rd|th|%)`, 'g'),
    (_, month, day) => `${month} ${ordinal(Number(day))}`,
  ],
  [
    new RegExp(`(?<![\\w:.])${CLOCK}(?: ?([ap])\\.?m\\b\\.?)?(?![\\w:])`, 'gi'),
    (_, hour, minute, second, half) => sayClock(hour, minute, second, half),
  ],
  [/(?<![\w:.])(\d{1,2}) ?([ap])\.?m\b\.?(?! ?$)/gi, (_, hour, half) => `${hour} ${half.toUpperCase()}M`],
  [/(?<![\w:.])(\d{1,2}) ?([ap])\.?m\b/gi, (_, hour, half) => `${hour} ${half.toUpperCase()}M`],
]

type DateParts = { readonly year: string; readonly month: string; readonly day: string }

function inOrder(first: string, second: string, year: string, language: Language): DateParts {
  const isDayFirst = Number(first) > 12 || (language !== 'en-us' && Number(second) <= 12)
  return isDayFirst ? { day: first, month: second, year } : { day: second, month: first, year }
}

function sayDate(whole: string, { year, month, day }: DateParts, language: Language): string {
  const name = MONTHS[Number(month) - 1]
  const isDay = Number(day) >= 1 && Number(day) <= 31
  if (name === undefined || !isDay) return whole
  const nth = ordinal(Number(day))
  return language === 'en-us' ? `${name} ${nth}, ${year} ` : `${nth} of ${name}, ${year} `
}

const longMonth = (short: string): string => MONTHS.find((month) => month.startsWith(short.slice(0, 3))) ?? short

function sayClock(hour: string, minute: string, second: string | undefined, half: string | undefined): string {
  const h = Number(hour)
  const after = half === undefined ? '' : ` ${half.toUpperCase()}M`
  const seconds = second === undefined || second === '00' ? '' : ` and ${Number(second)} seconds`
  if (minute !== '00') return `${h} ${minute.startsWith('0') ? `oh ${Number(minute)}` : minute}${after}${seconds}`
  if (half !== undefined) return `${h}${after}${seconds}`
  return h >= 1 && h <= 12 ? `${h} o'clock${seconds}` : `${h} hundred${seconds}`
}

/** 1st, 2nd, 3rd, 4th. */
function ordinal(day: number): string {
  const isTeen = day % 100 >= 11 && day % 100 <= 13
  return `${day}${(isTeen ? undefined : ['th', 'st', 'nd', 'rd'][day % 10]) ?? 'th'}`
}
