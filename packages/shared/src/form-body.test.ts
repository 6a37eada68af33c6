import { expect, test } from 'vitest'
import { formBody } from './form-body.ts'

const formOf = (bytes: Uint8Array<ArrayBuffer>): FormData => {
  const form = new FormData()
  form.append('file', new Blob([bytes], { type: 'audio/wav' }), 'speech.wav')
  form.append('language', 'en')
  return form
}

test('is the form that it was', async () => {
  const sent = await new Request('http://hearth', {
    method: 'POST',
    ...(await formBody(formOf(new Uint8Array(70_000)))),
  }).formData()
  expect(sent.get('language')).toBe('en')
  expect(sent.get('file')).toMatchObject({ name: 'speech.wav', type: 'audio/wav', size: 70_000 })
})
