import { expect, test } from 'vitest'
import { StablePrefix } from './stable-prefix.ts'

const table: [string, string[], string[]][] = [
  ['nothing is shown that was heard once', ['Is it'], ['']],
  ['what was heard twice is', ['Is it', 'Is it sunny'], ['', 'Is it']],
  ['a last word that changes waits', ['Is it sun', 'Is it sunny', 'Is it sunny in'], ['', 'Is it', ' sunny']],
  ['nothing is shown twice', ['Is it', 'Is it', 'Is it', 'Is it now', 'Is it now'], ['', 'Is it', '', '', ' now']],
  [
    'the full stop of a hypothesis that broke off is not shown',
    ['Is it sunny.', 'Is it sunny in', 'Is it sunny in.'],
    ['', 'Is it sunny', ' in'],
  ],
  [
    'punctuation between words is, with the word after it',
    ['Yes.', 'Yes, it', 'Yes, it is', 'Yes, it is.'],
    ['', 'Yes', ', it', ' is'],
  ],
  ['case need not agree, and the later one counts', ['is it', 'Is It hot'], ['', 'Is It']],
  [
    'a hypothesis that is shorter takes nothing back',
    ['a b c', 'a b c', 'a b', 'a b c d', 'a b c d e'],
    ['', 'a b c', '', '', ' d'],
  ],
  ['nor one that is empty', ['a b', 'a b', '', 'a b c', 'a b c'], ['', 'a b', '', '', ' c']],
  [
    'who thinks better of what was shown adds nothing',
    ['a b', 'a b', 'x b c', 'x b c d', 'a b c d', 'a b c d e'],
    ['', 'a b', '', '', '', ' c d'],
  ],
  ['a dash that stands alone belongs to the word before', ['on - off', 'on - off now'], ['', 'on - off']],
  ['scripts without spaces grow letter by letter', ['今天', '今天天气。', '今天天气很好。'], ['', '今天', '天气']],
  ['space around a hypothesis is none of it', [' Hello there', 'Hello there '], ['', 'Hello there']],
]

test.each(table)('%s', (_, hypotheses, deltas) => {
  const prefix = new StablePrefix()
  expect(hypotheses.map((hypothesis) => prefix.hear(hypothesis))).toEqual(deltas)
  expect(prefix.text).toBe(deltas.join(''))
})

test('whatever is heard, the deltas are the text, and every word of it was heard twice in a row', () => {
  let seed = 7
  const random = (most: number) => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) % most
  const bare = (text: string) => text.toLowerCase().replaceAll(/[.,?!]/g, '')
  for (let run = 0; run < 300; run++) {
    const prefix = new StablePrefix()
    const words = Array.from({ length: 12 }, () => 'abcd'[random(4)] ?? '')
    let [text, last] = ['', '']
    for (let step = 0; step < 20; step++) {
      const heard = words
        .slice(0, random(13))
        .map((word) => (random(20) === 0 ? 'z' : word) + ['', '', '.', ','][random(4)])
      const before = text
      text += prefix.hear(heard.join(' '))
      expect(prefix.text).toBe(text)
      const agreed = text === before || [last, heard.join(' ')].every((each) => bare(each).startsWith(bare(text)))
      expect(agreed).toBe(true)
      last = heard.join(' ')
    }
  }
})
