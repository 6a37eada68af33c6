/** Base64 as it is (RFC 4648, section 4), without the leniency of Node's decoder, which skips whatever is no base64. */

/** Undefined when the text is anything but base64: line breaks, other alphabets, a wrong length. The padding may be left out. */
export function decodeBase64(text: string): Buffer<ArrayBuffer> | undefined {
  const bytes = Buffer.from(text, 'base64')
  // A regular expression would need a stack as long as the file, so lengths are compared.
  const length = text.endsWith('==') ? text.length - 2 : text.endsWith('=') ? text.length - 1 : text.length
  const isPadded = length < text.length
  const isWhole = isPadded ? text.length % 4 === 0 : length % 4 !== 1
  // The one other alphabet that Node's decoder knows.
  const isOther = text.includes('-') || text.includes('_')
  return isWhole && !isOther && bytes.length === Math.floor((length * 3) / 4) ? bytes : undefined
}
