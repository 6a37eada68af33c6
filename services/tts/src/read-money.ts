/** Sums of money: the currency behind the number, cents as cents. */
import type { Rule } from './read-rule.ts'

/** A number as people write it, with commas and a decimal point. */
export const AMOUNT = '\\d{1,3}(?:,\\d{3}){1,8}(?:\\.\\d{1,9})?|\\d{1,15}(?:\\.\\d{1,9})?'

type Currency = { readonly one: string; readonly many: string; readonly cent: string; readonly cents: string }
const CURRENCIES: Readonly<Record<string, Currency>> = {
  $: { one: 'dollar', many: 'dollars', cent: 'cent', cents: 'cents' },
  '€': { one: 'euro', many: 'euros', cent: 'cent', cents: 'cents' },
  '£': { one: 'pound', many: 'pounds', cent: 'penny', cents: 'pence' },
  '¥': { one: 'yen', many: 'yen', cent: 'sen', cents: 'sen' },
  '₹': { one: 'rupee', many: 'rupees', cent: 'paisa', cents: 'paise' },
}
const SCALES: Readonly<Record<string, string>> = {
  k: 'thousand',
  m: 'million',
  mn: 'million',
  b: 'billion',
  bn: 'billion',
  t: 'trillion',
  tn: 'trillion',
}
const SCALE = ' ?(thousand|million|billion|trillion)\\b|(k|mn?|bn?|tn?)\\b'

export const moneyRules: readonly Rule[] = [
  [
    new RegExp(`(-|−)?([$€£¥₹]) ?(${AMOUNT})(?:${SCALE})?`, 'gi'),
    (_, minus, sign, amount, scale, short) =>
      sum({ minus, sign, amount, scale: scale ?? SCALES[short?.toLowerCase() ?? ''] }),
  ],
  [new RegExp(`(?<![\\w.,])(${AMOUNT}) ?([€£¥₹$])(?![\\w])`, 'g'), (_, amount, sign) => sum({ sign, amount })],
]

type Sum = { minus?: string | undefined; sign: string; amount: string; scale?: string | undefined }

function sum({ minus, sign, amount, scale }: Sum): string {
  const currency = CURRENCIES[sign]
  if (currency === undefined) return amount
  const before = minus === undefined ? '' : 'minus '
  if (scale !== undefined) return `${before}${amount} ${scale} ${currency.many}`
  const [whole = '0', cents = ''] = amount.split('.')
  const units = `${whole} ${whole === '1' ? currency.one : currency.many}`
  if (cents === '' || Number(cents) === 0) return before + units
  if (cents.length > 2) return `${before}${amount} ${currency.many}`
  const parts = Number(cents.padEnd(2, '0'))
  const rest = `${parts} ${parts === 1 ? currency.cent : currency.cents}`
  return before + (whole === '0' ? rest : `${units} and ${rest}`)
}

/** "1 kilometer", "2 kilometers". */
export const count = (amount: string, unit: string): string => `${amount} ${unit}${amount === '1' ? '' : 's'}`
