import { describe, expect, test } from 'vitest'
import { sseData } from './sse-data.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

async function* inPieces(whole: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = []
  for await (const data of sseData(chunks)) found.push(data)
  return found
}

const readText = (text: string, size = 1 << 20) => read(inPieces(bytes(text), size))

const SAMPLE =
  ': hello\r\n\r\ndata: {"a":"Grüße 🎉"}\r\n\r\nevent: x\nid: 1\ndata:one\r\ndata: two\n\nretry: 3\n\ndata\rdata: b\r\rdata: [DONE]\n\n'
const EVENTS = ['{"a":"Grüße 🎉"}', 'one\ntwo', '\nb', '[DONE]']

test.each(Array.from({ length: 40 }, (_, index) => index + 1))('reads the same in pieces of %i bytes', async (size) => {
  expect(await readText(SAMPLE, size)).toEqual(EVENTS)
})

test('reads the same wherever it is cut in two', async () => {
  const whole = bytes(SAMPLE)
  for (let cut = 1; cut < whole.length; cut++) {
    const parts = ReadableStream.from([whole.subarray(0, cut), whole.subarray(cut)])
    expect(await read(parts)).toEqual(EVENTS)
  }
})

test.each(['', '\n', '\r\n', '\r'])('an event at the end counts without its blank line: %j', async (end) => {
  expect(await readText(`data: a\n\ndata: b${end}`)).toEqual(['a', 'b'])
})

describe('what is no event is refused', () => {
  test.each([
    ['a web page', '<html>\n'],
    ['a JSON answer', '{"choices":[]}'],
    ['a field that does not exist', 'data: a\n\ndatum: b\n\n'],
    ['an endless line', `data: ${'x'.repeat(300_000)}`],
    ['an endless event', 'data: xxxxxxxx\n'.repeat(30_000)],
  ])('%s', async (_, text) => {
    await expect(readText(text, 4096)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })

  test.each([
    ['bytes that are no UTF-8', Uint8Array.of(...bytes('data: '), 0xff, 0x0a)],
    ['a character that is cut', bytes('data: ü').subarray(0, -1)],
  ])('%s', async (_, whole) => {
    await expect(read(inPieces(whole, 100))).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })

  test('a failure of the connection stays what it is', async () => {
    const cut = ReadableStream.from(
      (async function* () {
        yield bytes('data: a\n\n')
        throw new TypeError('terminated')
      })(),
    )
    await expect(read(cut)).rejects.toThrow('terminated')
  })
})
