/**
 * Reads server-sent events as OpenAI-compatible servers send them: the data of each event. Stricter than a browser: a line
 * that is none of the format's is an error, because a server that sends one (a web page, a broken proxy) has sent no reply.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
import { AppError } from '@hearth/shared/errors'

const LONGEST_EVENT = 262_144

/**
 * The `data` of each event; comments and other fields are skipped. An event whose closing blank line is missing at the end
 * counts. Throws `dependency_unavailable` on invalid UTF-8, on a line of no known field, and on an event of more than 256 Ki characters.
 */
export async function* sseData(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  let data: string[] = []
  let size = 0
  for await (const line of lines(bytes)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n')
      data = []
      size = 0
    } else if (!line.startsWith(':')) {
      data.push(...dataOf(line))
      size += line.length
    }
    if (size > LONGEST_EVENT) throw broken('an endless event')
  }
  if (data.length > 0) yield data.join('\n')
}

function dataOf(line: string): string[] {
  const [, field, value = ''] = /^(data|event|id|retry)(?:: ?(.*))?$/s.exec(line) ?? []
  if (field === undefined) throw broken('a line that belongs to no event')
  return field === 'data' ? [value] : []
}

async function* lines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  let rest = ''
  for await (const text of texts(bytes)) {
    const all = rest + text
    // A carriage return at the end may be the first half of a line's end.
    const whole = all.endsWith('\r') ? all.slice(0, -1) : all
    const found = whole.split(/\r\n|\n|\r/)
    rest = (found.pop() ?? '') + all.slice(whole.length)
    yield* found
    if (rest.length > LONGEST_EVENT) throw broken('an endless line')
  }
  if (rest !== '') yield* rest.endsWith('\r') ? [rest.slice(0, -1)] : [rest]
}

async function* texts(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const chunk of bytes) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (error) {
    throw error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
      ? broken('bytes that are no UTF-8')
      : error
  }
}

const broken = (what: string): AppError =>
  new AppError('dependency_unavailable', `expected server-sent events, got ${what}`, { retryAfterMs: 1000 })
