/** Takes `<think>...</think>` out of streamed text: a model's thoughts are not spoken. Works across pieces. */

const OPEN = '<think>'
const CLOSE = '</think>'

/** The text outside of thoughts. A thought that never ends swallows the rest. */
export async function* withoutThinking(pieces: AsyncIterable<string>): AsyncGenerator<string, void, void> {
  let held = ''
  let isThinking = false
  for await (const piece of pieces) {
    held += piece
    for (;;) {
      const mark = isThinking ? CLOSE : OPEN
      const at = held.indexOf(mark)
      const end = at < 0 ? held.length - partialMark(held, mark) : at
      const text = held.slice(0, end)
      if (!isThinking && text !== '') yield text
      held = held.slice(at < 0 ? end : at + mark.length)
      if (at < 0) break
      isThinking = !isThinking
    }
  }
  if (!isThinking && held !== '') yield held
}

/** How many of the last characters may be the beginning of `mark`. */
function partialMark(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length
  return 0
}
