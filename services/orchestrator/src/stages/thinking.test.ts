import { expect, test } from 'vitest'
import { withoutThinking } from './thinking.ts'

async function spoken(pieces: readonly string[]): Promise<string> {
  async function* stream() {
    yield* pieces
  }
  let text = ''
  for await (const piece of withoutThinking(stream())) text += piece
  return text
}

test.each([
  [['<think>The user greets.</think>Hello!'], 'Hello!'],
  [Array.from('<think>a < b</think>Hello <b>!'), 'Hello <b>!'],
  [['Yes', '. <thi', 'nk>Hm', 'm</thi', 'nk>No.'], 'Yes. No.'],
  [['a <think>never ends'], 'a '],
  [['2 < 3 and <thin'], '2 < 3 and <thin'],
  [[], ''],
])('thoughts in %j are not spoken', async (pieces, expected) => {
  expect(await spoken(pieces)).toBe(expected)
})
