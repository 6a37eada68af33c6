/** Server-sent events out of a reply's body, as POST /generate streams them (WHATWG HTML, 9.2): an event may come in any pieces. */

export type StreamedEvent = { readonly name: string; readonly data: string }

export async function* eventsOf(body: AsyncIterable<string>): AsyncGenerator<StreamedEvent, void, void> {
  let rest = ''
  for await (const text of body) {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = readBlock(block)
      if (event) yield event
    }
  }
}

/** Null for a comment, which keeps the connection alive. */
function readBlock(block: string): StreamedEvent | null {
  const lines = block.split('\n')
  const of = (field: string) =>
    lines.filter((line) => line.startsWith(`${field}: `)).map((line) => line.slice(field.length + 2))
  const data = of('data')
  return data.length === 0 ? null : { name: of('event').at(-1) ?? 'message', data: data.join('\n') }
}
