/** Where a file lies in a `multipart/form-data` body (RFC 7578): nothing is read but the delimiters and the headers of its part. */

const HEADERS_END = '\r\n\r\n'
/** More is no part's header. */
const MOST_HEADER_BYTES = 4096

export type Span = { readonly from: number; readonly to: number }

/** The content of the first file of that name. Null when there is none, or the form is not such that it can be told. */
export function findUpload(body: Uint8Array<ArrayBuffer>, boundary: string, name: string): Span | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const delimiter = `\r\n--${boundary}`
  const opening = Buffer.from(`--${boundary}\r\n`)
  let part = bytes.indexOf(opening)
  // Behind the last delimiter, which ends with two hyphens, is nothing of the form.
  while (part !== -1 && bytes.subarray(part, part + opening.length).equals(opening)) {
    const end = bytes.subarray(part, part + MOST_HEADER_BYTES).indexOf(HEADERS_END)
    if (end === -1) return null
    const from = part + end + HEADERS_END.length
    const to = bytes.indexOf(delimiter, from - 2)
    if (isUpload(bytes.toString('latin1', part, part + end), name)) return to < from ? null : { from, to }
    part = to === -1 ? -1 : to + 2
  }
  return null
}

function isUpload(headers: string, name: string): boolean {
  const [, disposition = ''] = /^content-disposition:\s*form-data(.*)$/im.exec(headers) ?? []
  return disposition.includes(`; name="${name}"`) && disposition.includes('; filename="')
}
