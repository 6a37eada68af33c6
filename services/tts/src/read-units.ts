/** Units behind numbers, in full: "5 km" is five kilometers, "1 km" one kilometer. */
import { AMOUNT, count } from './read-money.ts'
import type { Rule } from './read-rule.ts'

const PLAIN: Readonly<Record<string, string>> = {
  km: 'kilometer',
  m: 'meter',
  cm: 'centimeter',
  mm: 'millimeter',
  nm: 'nanometer',
  mi: 'mile',
  yd: 'yard',
  kg: 'kilogram',
  g: 'gram',
  mg: 'milligram',
  lb: 'pound',
  lbs: 'pound',
  oz: 'ounce',
  l: 'liter',
  L: 'liter',
  ml: 'milliliter',
  mL: 'milliliter',
  gal: 'gallon',
  ms: 'millisecond',
  sec: 'second',
  min: 'minute',
  mins: 'minute',
  h: 'hour',
  hr: 'hour',
  hrs: 'hour',
  kB: 'kilobyte',
  KB: 'kilobyte',
  MB: 'megabyte',
  GB: 'gigabyte',
  TB: 'terabyte',
  PB: 'petabyte',
  KiB: 'kibibyte',
  MiB: 'mebibyte',
  GiB: 'gibibyte',
  W: 'watt',
  kW: 'kilowatt',
  MW: 'megawatt',
  GW: 'gigawatt',
  kWh: 'kilowatt hour',
  V: 'volt',
  mAh: 'milliamp hour',
  dB: 'decibel',
  px: 'pixel',
  kcal: 'kilocalorie',
  ha: 'hectare',
}
const FIXED: Readonly<Record<string, string>> = {
  ft: 'feet',
  Hz: 'hertz',
  kHz: 'kilohertz',
  MHz: 'megahertz',
  GHz: 'gigahertz',
  fps: 'frames per second',
  rpm: 'r p m',
  mph: 'miles per hour',
  'km/h': 'kilometers per hour',
  kph: 'kilometers per hour',
  'm/s': 'meters per second',
  'mi/h': 'miles per hour',
  kbps: 'kilobits per second',
  Mbps: 'megabits per second',
  Gbps: 'gigabits per second',
  'MB/s': 'megabytes per second',
  'GB/s': 'gigabytes per second',
  '°C': 'degrees Celsius',
  '°F': 'degrees Fahrenheit',
  '℃': 'degrees Celsius',
  '℉': 'degrees Fahrenheit',
}
const byLength = (names: readonly string[]): string =>
  names
    .toSorted((a, b) => b.length - a.length)
    .map((name) => name.replace('/', '\\/'))
    .join('|')
const NUMBER = `(?<![\\w.,/])(${AMOUNT})`

export const unitRules: readonly Rule[] = [
  // Not "90s", which are years.
  [new RegExp(`${NUMBER} s\\b(?!['’])`, 'g'), (_, amount) => count(amount, 'second')],
  [
    /(?<![\w.])(\d)'(\d{1,2})(?:"|''|”)/g,
    (_, feet, inches) => `${feet} ${feet === '1' ? 'foot' : 'feet'} ${inches === '1' ? '1 inch' : `${inches} inches`}`,
  ],
  [
    new RegExp(`${NUMBER} ?(km|m|cm|mm|ft|mi)([²³])`, 'g'),
    (_, amount, unit, power) =>
      `${amount} ${power === '²' ? 'square' : 'cubic'} ${unit === 'ft' ? 'feet' : count(amount, PLAIN[unit] ?? unit).slice(amount.length + 1)}`,
  ],
  [
    new RegExp(`${NUMBER} ?(${byLength(Object.keys(FIXED))})(?![\\w/²³])`, 'g'),
    (_, amount, unit) => `${amount} ${FIXED[unit] ?? unit}`,
  ],
  [
    new RegExp(`${NUMBER}[ -]?(${byLength(Object.keys(PLAIN))})(?![\\w/²³'’-])`, 'g'),
    (_, amount, unit) => count(amount, PLAIN[unit] ?? unit),
  ],
]
