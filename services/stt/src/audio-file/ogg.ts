/** The packets of the first stream in an Ogg file (RFC 3533). A file that breaks off, or is damaged in between, gives those that are whole. */

const CAPTURE = Buffer.from('OggS')
const HEADER_BYTES = 27
const FULL_SEGMENT = 255

type Page = {
  readonly serial: number
  /** Where in the recording it ends, in the codec's units; -1 when no packet ends on it. */
  readonly granule: number
  /** Whether its first packet began on the page before. */
  readonly isContinued: boolean
  readonly segments: Uint8Array
  readonly body: Uint8Array
}

/** In order, the codec's headers first. */
export function* oggPackets(file: Uint8Array): Generator<Uint8Array> {
  let serial: number | undefined
  let parts: Uint8Array[] = []
  for (const page of pagesOf(file)) {
    serial ??= page.serial
    if (page.serial !== serial) continue
    let isOrphan = page.isContinued && parts.length === 0
    if (!page.isContinued) parts = []
    let at = 0
    for (const length of page.segments) {
      parts.push(page.body.subarray(at, at + length))
      at += length
      if (length === FULL_SEGMENT) continue
      if (!isOrphan) yield parts.length === 1 ? (parts[0] ?? page.body) : Buffer.concat(parts)
      isOrphan = false
      parts = []
    }
  }
}

/** The times at which the first stream's pages end, in order, but for its headers. */
export function* oggPageTimes(file: Uint8Array): Generator<number> {
  let serial: number | undefined
  for (const page of pagesOf(file)) {
    serial ??= page.serial
    if (page.serial === serial && page.granule > 0) yield page.granule
  }
}

function* pagesOf(file: Uint8Array): Generator<Page> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  for (
    let at = bytes.indexOf(CAPTURE);
    at !== -1 && at + HEADER_BYTES <= bytes.length;
    at = bytes.indexOf(CAPTURE, at)
  ) {
    const count = bytes.readUInt8(at + 26)
    const start = at + HEADER_BYTES + count
    const segments = bytes.subarray(at + HEADER_BYTES, start)
    const end = start + segments.reduce((sum, length) => sum + length, 0)
    if (end > bytes.length) return
    const isContinued = (bytes.readUInt8(at + 5) & 1) === 1
    const granule = Number(bytes.readBigInt64LE(at + 6))
    yield { serial: bytes.readUInt32LE(at + 14), granule, isContinued, segments, body: bytes.subarray(start, end) }
    at = end
  }
}
