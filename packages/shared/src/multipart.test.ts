import { expect, test } from 'vitest'
import { findUpload } from './multipart.ts'

const text = (value: string) => new TextEncoder().encode(value)
const found = (body: Uint8Array<ArrayBuffer>, name = 'file', boundary = 'b') => {
  const span = findUpload(body, boundary, name)
  return span && Buffer.from(body.subarray(span.from, span.to)).toString('latin1')
}
const part = (headers: string, content: string) => `--b\r\n${headers}\r\n\r\n${content}\r\n`
const field = (name: string, content: string) => part(`Content-Disposition: form-data; name="${name}"`, content)
const file = (name: string, content: string) =>
  part(`Content-Disposition: form-data; name="${name}"; filename="a.wav"\r\nContent-Type: audio/wav`, content)

test('the content of the file of that name is found as it came, wherever it stands', async () => {
  const content = 'RIFF\r\n\r\n--\r\n-b--\0\xff'
  for (const body of [
    file('file', content),
    field('model', 'x') + file('file', content),
    file('other', 'y') + file('file', content) + field('a', ''),
  ])
    expect(found(text(`${body}--b--\r\n`))).toBe(Buffer.from(text(content)).toString('latin1'))
  expect(found(text(`${file('file', '')}--b--\r\n`))).toBe('')
})

test('in forms as the platform writes them too', async () => {
  const form = new FormData()
  form.set('model', 'whisper-1')
  form.set('file', new Blob([new Uint8Array(100_000).fill(7)]), 'a.wav')
  const encoded = new Response(form)
  const boundary = encoded.headers.get('content-type')?.split('boundary=')[1]
  const body = new Uint8Array(await encoded.arrayBuffer())
  expect(found(body, 'file', boundary)).toBe('\x07'.repeat(100_000))
})

test('what is no such file, or no whole form, is none', () => {
  for (const body of [
    '',
    'hello',
    field('file', 'a text'),
    file('other', 'x'),
    `--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbroken off`,
    `--b\r\nContent-Disposition: form-data; name="file"; filename="a"`,
    `${field('a', 'x')}--b--\r\n${file('file', 'behind the end')}--b--`,
  ])
    expect(found(text(body))).toBeNull()
})
