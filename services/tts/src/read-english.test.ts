import { describe, expect, test } from 'vitest'
import { readEnglish } from './read-english.ts'
import { readable } from './readable.ts'

describe.each<[string, [string, string][]]>([
  [
    'money',
    [
      ['$5.50', '5 dollars and 50 cents'],
      ['$1', '1 dollar'],
      ['$1.05', '1 dollar and 5 cents'],
      ['$0.99', '99 cents'],
      ['-$20', 'minus 20 dollars'],
      ['€20', '20 euros'],
      ['20 €', '20 euros'],
      ['£3.50', '3 pounds and 50 pence'],
      ['¥1,000', '1,000 yen'],
      ['$1.5 million', '1.5 million dollars'],
      ['$3bn', '3 billion dollars'],
      ['$5k', '5 thousand dollars'],
      ['$12,345.67', '12,345 dollars and 67 cents'],
      ['It costs $5.', 'It costs 5 dollars.'],
    ],
  ],
  [
    'times',
    [
      ['10:30', '10 30'],
      ['10:05', '10 oh 5'],
      ['10:00', "10 o'clock"],
      ['9:00 am', '9 AM'],
      ['at 5:30 p.m. today', 'at 5 30 PM today'],
      ['5pm', '5 PM'],
      ['5 p.m. today', '5 PM today'],
      ['14:00', '14 hundred'],
      ['15:45:30', '15 45 and 30 seconds'],
      ['a ratio of 100:30', 'a ratio of 100:30'],
    ],
  ],
  [
    'dates',
    [
      ['2026-11-21', 'November 21st, 20 26'],
      ['11/21/2026', 'November 21st, 20 26'],
      ['3/4/1999', 'March 4th, 19 99'],
      ['21.11.2026', 'November 21st, 20 26'],
      ['2026-11-21T10:30', 'November 21st, 20 26 10 30'],
      ['Jan. 5', 'January 5th'],
      ['5 Feb', '5 February'],
      ['March 22', 'March 22nd'],
      ['June 11', 'June 11th'],
      ['in 1999', 'in 19 99'],
      ['in 1905', 'in 19 oh 5'],
      ['in 2005', 'in 2005'],
      ['the 1990s', 'the 19 90s'],
      ['13/45/2026', '13/45/2026'],
    ],
  ],
  [
    'units',
    [
      ['5 km', '5 kilometers'],
      ['1 km', '1 kilometer'],
      ['10kg', '10 kilograms'],
      ['100 km/h', '100 kilometers per hour'],
      ['20°C', '20 degrees Celsius'],
      ['-5 °F', '-5 degrees Fahrenheit'],
      ['16GB', '16 gigabytes'],
      ['3.5 GHz', '3.5 gigahertz'],
      ['20 m²', '20 square meters'],
      ['200 ms', '200 milliseconds'],
      ['5 s', '5 seconds'],
      ['6\'2"', '6 feet 2 inches'],
      ['5 minutes', '5 minutes'],
      ['5-year-old', '5-year-old'],
    ],
  ],
  [
    'numbers',
    [
      ['10-20', '10 to 20'],
      ['1/2', 'one half'],
      ['3/4', '3 quarters'],
      ['2½', '2 and a half'],
      ['24/7', '24 7'],
      ['1e-5', '1 times 10 to the minus 5'],
      ['x²', 'x squared'],
      ['2^10', '2 to the power of 10'],
      ['3x4', '3 by 4'],
      ['#1', 'number 1'],
      ['.5', '0.5'],
      ['10k users', '10 thousand users'],
      ['~5', 'about 5'],
      ['1 <= 2', '1 is at most 2'],
      ['A -> B', 'A to B'],
      ['World War II', 'World War 2'],
    ],
  ],
  [
    'abbreviations and initials',
    [
      ['Dr. Smith', 'Doctor Smith'],
      ['cats, dogs, etc.', 'cats, dogs, et cetera.'],
      ['e.g. this', 'for example this'],
      ['No. 5', 'number 5'],
      ['No. It is not.', 'No. It is not.'],
      ['Fig. 3', 'figure 3'],
      ['St. Paul', 'Saint Paul'],
      ['J. K. Rowling', 'J K Rowling'],
      ['So did I. Then she left.', 'So did I. Then she left.'],
      ['the U.S. economy', 'the U.S economy'],
      ['C# and C++', 'C sharp and C plus plus'],
      ['tea w/ milk', 'tea with milk'],
    ],
  ],
  [
    'addresses',
    [
      ['https://example.com', 'example dot com'],
      ['https://www.example.com/a-b?c=1.', 'www dot example dot com slash a dash b question mark c equals 1.'],
      ['visit example.org, now', 'visit example dot org, now'],
      ['anna.b@example.com', 'anna dot b at example dot com'],
      ['192.168.0.1', '192 dot 168 dot 0 dot 1'],
      ['555-1234', '5 5 5, 1 2 3 4'],
      ['+1 (555) 123-4567', 'plus 1, 5 5 5, 1 2 3, 4 5 6 7'],
      ['Node.js', 'Node.js'],
    ],
  ],
])('%s', (_, rows) => {
  test.each(rows)('%s', (written, said) => {
    expect(readEnglish(written, 'en-us').trim().replace(/\s+/g, ' ')).toBe(said)
  })
})

test('a date in digits follows the country of the voice', () => {
  expect(readEnglish('3/4/1999', 'en-gb')).toContain('3rd of April')
  expect(readEnglish('12/25/2026', 'en-gb')).toContain('25th of December')
})

test('other languages keep what they wrote', () => {
  expect(readable('Son las 10:30, $5.', 'es')).toBe('Son las 10:30, $5.')
})

test('a word whose pronunciation is given is not read by the rules', () => {
  expect(readable('\ue000No. 5\ue001nˈoʊ\ue002 10km', 'en-us')).toBe('\ue000No. 5\ue001nˈoʊ\ue002 10 kilometers')
})

test.each([
  ['1'.repeat(32_000)],
  ['1.'.repeat(16_000)],
  ['1,111'.repeat(6_000)],
  ['A. '.repeat(10_000)],
  ['a.a.'.repeat(8_000)],
  ['a@'.repeat(16_000)],
  ['www.'.repeat(8_000)],
  ['http://'.repeat(4_000)],
  ['$1 '.repeat(10_000)],
  ['Aaaa '.repeat(6_000)],
  ['A' + 'a'.repeat(32_000)],
  ['-'.repeat(32_000)],
])('no rule takes long for a long text (%#)', (text) => {
  const start = process.cpuUsage()
  readEnglish(text, 'en-us')
  expect(process.cpuUsage(start).user / 1000).toBeLessThan(1000)
})
