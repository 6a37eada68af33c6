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
  // abbreviations, initials, numbers
  ['Mrs. Ng met J. R. R. Tolkien. He left.', ['Mrs. Ng met J. R. R. Tolkien.', 'He left.']],
  ['In the U.S. Army. Ph.D. or not.', ['In the U.S. Army.', 'Ph.D. or not.']],
  ['At 5 p.m. today. At 5 p.m. Then go.', ['At 5 p.m. today.', 'At 5 p.m.', 'Then go.']],
  ['Cats, dogs, etc. and more. Cats etc. Go.', ['Cats, dogs, etc. and more.', 'Cats etc.', 'Go.']],
  ['No. 5 is here. No. It left.', ['No. 5 is here.', 'No.', 'It left.']],
  ['It is 1,000.50 or 3.14. I am 12. You too.', ['It is 1,000.50 or 3.14.', 'I am 12.', 'You too.']],
  ['You and I. Then they.', ['You and I.', 'Then they.']],
  ['Use node.js v24.1.0. Mail a.b@c.de now!', ['Use node.js v24.1.0.', 'Mail a.b@c.de now!']],
  ['Stop?! No!!! Well…', ['Stop?!', 'No!!!', 'Well…']],
  // clauses, dashes
  ['I think so — maybe it is. Yes.', ['I think so — maybe it is.', 'Yes.']],
  ['I really think so—maybe it is.', ['I really think so—', 'maybe it is.']],
  ['Pages 10–12 of it are here, I think.', ['Pages 10–12 of it are here,', 'I think.']],
  ['Here are my three things: one and two.', ['Here are my three things:', 'one and two.']],
  ['Meet me here at 10:30 and 1,000 more.', ['Meet me here at 10:30 and 1,000 more.']],
  // German, French, Spanish, Arabic, Hindi, CJK
  ['Am 3. Mai kam Dr. Ott. „Gut.“ »Ja.« Nr. 7.', ['Am 3. Mai kam Dr. Ott.', '„Gut.“', '»Ja.«', 'Nr. 7.']],
  ['Comment vas-tu ? « Bien. » Il part.', ['Comment vas-tu ?', '« Bien.', 'Il part.']],
  ['El Sr. Paz vive en EE.UU. desde 1990. Sí.', ['El Sr. Paz vive en EE.UU. desde 1990.', 'Sí.']],
  ['كيف حالك؟ أنا بخير.', ['كيف حالك؟', 'أنا بخير.']],
  ['नमस्ते। आप कैसे हैं?', ['नमस्ते।', 'आप कैसे हैं?']],
  [
    '你好，我的名字是小明，很高兴。他说：“走吧。”“好。”',
    ['你好，我的名字是小明，', '很高兴。', '他说：“走吧。”', '“好。”'],
  ],
  ['今天很好，我们去公园散步，然后回家。', ['今天很好，我们去公园散步，', '然后回家。']],
  ['「はい。」と言った。円周率は3.14です。', ['「はい。」', 'と言った。', '円周率は3.14です。']],
  // lines, lists, marks that stand alone, emoji
  ['Title\r\nText goes on\n\n---\n* a. b\n2. Second. More', ['Title', 'Text goes on', '* a. b', '2. Second.', 'More']],
  ['**Done.** _Yes._ `No.` Go.', ['**Done.**', '_Yes._', '`No.`', 'Go.']],
  ['Great!😀 Next. 😀. ) .. End', ['Great!', '😀 Next.', 'End']],
  ['   \n\t ', []],
  ['no end at all', ['no end at all']],
  ['', []],
  ['... !?', []],
]

describe('FragmentSplitter', () => {
  test.each(TEXTS)('cuts %j', (text, expected) => {
    expect(fragments(text)).toEqual(expected)
  })

  test.each(TEXTS)('cuts %j the same when it comes letter by letter', (text, expected) => {
    expect(fragments(text, (whole) => whole.split(''))).toEqual(expected)
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

  test('a clause needs enough words, and the number can be set', () => {
    const cut = (firstWords: number) => new FragmentSplitter({ firstWords }).push('Well, I see, but no')
    expect(cut(1)).toEqual(['Well,'])
    expect(cut(3)).toEqual(['Well, I see,'])
    expect(cut(4)).toEqual([])
  })

  test('however the pieces are cut, the fragments are the same', () => {
    const text = `${TEXTS.map(([each]) => each).join(' ')} ${'long, 😀 '.repeat(40)}${'y'.repeat(90)}`
    const cut = (pieces: string[], maxChars = 60) => {
      const splitter = new FragmentSplitter({ maxChars })
      return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()]
    }
    const atTheLimit = '你好你，好。你'
    expect(cut(atTheLimit.split(''), 6)).toEqual(cut([atTheLimit], 6))
    const whole = cut([text])
    for (let length = 1; length < 40; length++) {
      const pieces = Array.from({ length: Math.ceil(text.length / length) }, (_, at) =>
        text.slice(at * length, (at + 1) * length),
      )
      expect(cut(pieces)).toEqual(whole)
    }
  })

  test('loses no word, and gives no fragment without one', () => {
    const words = (text: string) => text.match(/[\p{L}\p{N}]+/gu) ?? []
    const text = TEXTS.map(([each]) => each).join('\n')
    const cut = fragments(text)
    expect(words(cut.join(' '))).toEqual(words(text))
    expect(cut.filter((fragment) => words(fragment).length === 0)).toEqual([])
  })

  test('cuts a sentence that is too long behind its last clause, else between words, never inside an emoji', () => {
    const cut = (text: string, maxChars: number) => {
      const splitter = new FragmentSplitter({ maxChars, firstWords: Infinity })
      return [...splitter.push(text), ...splitter.end()]
    }
    expect(cut('one two three, four five six', 20)).toEqual(['one two three,', 'four five six'])
    expect(cut('one two three four', 10)).toEqual(['one two', 'three four'])
    expect(cut('one two xx yyy', 10)).toEqual(['one two xx', 'yyy'])
    expect(cut(`a${'😀'.repeat(4)}b`, 4)).toEqual(['a😀', '😀b'])
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
  test.each(['a', '"', '(', 'a ', '. ', ',', '1.', '!', '。', '."', 'a, ', 'etc. ', '« ', '\n'])(
    'a million of %j is split',
    (unit) => {
      expect(splitSentences(unit.repeat(1_000_000)).join('').length).toBeLessThanOrEqual(1_000_000 * unit.length)
    },
  )

  test.each([`etc.${' '.repeat(99_996)}`, '!', '"', '."', ' ', 'a, '])(
    '%j a hundred thousand times, letter by letter',
    (unit) => {
      const splitter = new FragmentSplitter()
      const cut = unit
        .repeat(100_000 / unit.length)
        .split('')
        .flatMap((char) => splitter.push(char))
      expect(Math.max(0, ...cut.map((fragment) => fragment.length))).toBeLessThanOrEqual(300)
    },
  )
})
