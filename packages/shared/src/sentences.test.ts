import { describe, expect, test } from 'vitest'
import { FragmentSplitter, splitSentences } from './sentences.ts'

const fragments = (text: string, pieces: (text: string) => string[] = (whole) => [whole]) => {
  const splitter = new FragmentSplitter()
  return [...pieces(text).flatMap((piece) => splitter.push(piece)), ...splitter.end()]
}

const TEXTS: [string, string[]][] = [
  ['Hello! How can I help you?', ['Hello!', 'How can I help you?']],
  ['The kitchen light is on, and the door is locked.', ['The kitchen light is on,', 'and the door is locked.']],
  ['Yes, it is. Of course, it may change.', ['Yes, it is.', 'Of course, it may change.']],
  ['Dr. Smith paid 3.14 euros at 10:30. Fine.', ['Dr. Smith paid 3.14 euros at 10:30.', 'Fine.']],
  ['It is e.g. here. J. Doe knows.', ['It is e.g. here.', 'J. Doe knows.']],
  ['See example.com/a?b=1 now. Go.', ['See example.com/a?b=1 now.', 'Go.']],
  ['"Really?" she said. (Yes.) Good.', ['"Really?"', 'she said.', '(Yes.)', 'Good.']],
  ['Well... maybe. Wait…', ['Well...', 'maybe.', 'Wait…']],
  [
    'Erstens ist das Licht an, zweitens z.B. nicht. Gut.',
    ['Erstens ist das Licht an,', 'zweitens z.B. nicht.', 'Gut.'],
  ],
  ['¿Dónde vives? Vivo en Madrid.', ['¿Dónde vives?', 'Vivo en Madrid.']],
  ['今日はいい天気ですね。散歩に行きましょう！', ['今日はいい天気ですね。', '散歩に行きましょう！']],
  ['- one thing\n- another thing\n', ['- one thing', '- another thing']],
  ['1. First point. Second.', ['1. First point.', 'Second.']],
  ['no end at all', ['no end at all']],
  ['', []],
  ['... !?', []],
]

describe('FragmentSplitter', () => {
  test.each(TEXTS)('cuts %j', (text, expected) => {
    expect(fragments(text)).toEqual(expected)
  })

  test.each(TEXTS)('cuts %j the same when it comes letter by letter', (text, expected) => {
    expect(fragments(text, (whole) => [...whole])).toEqual(expected)
  })

  test('gives the first clause while the sentence still comes', () => {
    const splitter = new FragmentSplitter()
    expect(splitter.push('The kitchen light is on, and')).toEqual(['The kitchen light is on,'])
  })

  test('gives a sentence as soon as the next word begins', () => {
    const splitter = new FragmentSplitter()
    expect(splitter.push('Good morning.')).toEqual([])
    expect(splitter.push(' ')).toEqual(['Good morning.'])
  })

  test('only the first fragment is a clause', () => {
    expect(fragments('One two three four, five six seven eight, nine ten. One two three four, five.')).toEqual([
      'One two three four,',
      'five six seven eight, nine ten.',
      'One two three four, five.',
    ])
  })

  test('no fragment is longer than the limit, and no word is lost', () => {
    const text = `${'word '.repeat(300)}${'x'.repeat(700)}`
    const splitter = new FragmentSplitter({ maxChars: 100 })
    const cut = [...splitter.push(text), ...splitter.end()]
    expect(Math.max(...cut.map((fragment) => fragment.length))).toBeLessThanOrEqual(100)
    expect(cut.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
  })

  test('starts anew after the end', () => {
    const splitter = new FragmentSplitter()
    splitter.push('One two three four, five')
    splitter.end()
    expect(splitter.push('One two three four, five')).toEqual(['One two three four,'])
  })
})

describe('splitSentences', () => {
  test('does not cut a small first fragment', () => {
    expect(splitSentences('One two three four, five six. Seven.')).toEqual(['One two three four, five six.', 'Seven.'])
  })

  /** Steps are counted, not seconds: a quadratic splitter would take hours for this. */
  test.each(['a', '"', '(', 'a ', '. ', ',', '1.'])('a million of %j is split', (unit) => {
    expect(splitSentences(unit.repeat(1_000_000)).join('').length).toBeLessThanOrEqual(2_000_000)
  })
})
