import { expect, test } from 'vitest'
import { oggPackets } from './ogg.ts'

/** One page: the lengths of its packets' parts on it; a part of 255 bytes goes on. */
function page(segments: readonly number[], { serial = 1, isContinued = false } = {}): Buffer {
  const header = Buffer.alloc(27)
  header.write('OggS')
  header.writeUInt8(isContinued ? 1 : 0, 5)
  header.writeUInt32LE(serial, 14)
  header.writeUInt8(segments.length, 26)
  return Buffer.concat([header, Buffer.from(segments), ...segments.map((length) => Buffer.alloc(length, length))])
}

const lengths = (...pages: readonly Buffer[]) => [...oggPackets(Buffer.concat(pages))].map(({ length }) => length)

test('packets are put together over segments and pages', () => {
  expect(lengths(page([10, 255, 20]), page([255]), page([5, 7], { isContinued: true }))).toEqual([10, 275, 260, 7])
})

test('another stream in between does not mix in', () => {
  expect(lengths(page([255]), page([9], { serial: 2 }), page([5], { isContinued: true }))).toEqual([260])
})

test('what is cut off, lost or no page at all is left out', () => {
  expect(lengths(page([10]), page([20, 30]).subarray(0, 40))).toEqual([10])
  expect(lengths(page([5, 7], { isContinued: true }))).toEqual([7])
  expect(lengths(Buffer.from('OggSOggSOggS'))).toEqual([])
  expect(lengths(Buffer.from('rubbish'), page([3]), Buffer.from('more'), page([4]))).toEqual([3, 4])
})
