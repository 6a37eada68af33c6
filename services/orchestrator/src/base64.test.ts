import { expect, test } from 'vitest'
import { decodeBase64 } from './base64.ts'

test.each(['', 'AA==', 'AAA=', 'AAAA', 'AAAAAA', '+/+/'])('%j is base64', (text) => {
  expect(decodeBase64(text)).toEqual(Buffer.from(text, 'base64'))
})

test.each(['A', 'AA AA', 'AA AAA', 'AA AAAA', 'AAAA\n', '!!!!', 'AA=A', 'AAAAA', 'AA=', 'AAAA=', 'AA===', '-_-_'])(
  '%j is not',
  (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  },
)
