/**
 * When each token was said, from how the decoder looked at the sound while it wrote it. Whisper's way: the alignment heads'
 * attentions, each token's normalised against the others', smoothed, averaged, and the cheapest path through them.
 */

/** Attention of one head: [tokens, frames], row after row. */
export type Attention = { readonly values: Float32Array; readonly tokens: number; readonly frames: number }

/** Seconds of one position of the encoder. */
export const POSITION_SECONDS = 0.02
const DEFAULT_FILTER = 7
/** Positions that hardly any token looked at, such as the silence after the last word, must not draw one: their noise stays small. */
const QUIET = 0.01

/** The position at which each token begins; [tokens]. At least one head, all of the same shape. */
export function alignTokens(heads: readonly Attention[], filterWidth = DEFAULT_FILTER): number[] {
  const [first] = heads
  if (!first) throw new Error('expected at least one head to align with: this is a bug')
  const { tokens, frames } = first
  const mean = new Float32Array(tokens * frames)
  for (const head of heads) {
    const smooth = medianFilter(normalise(head), filterWidth)
    for (let at = 0; at < mean.length; at++) mean[at] = (mean[at] ?? 0) + (smooth[at] ?? 0) / heads.length
  }
  return firstFrames(warp({ values: mean, tokens, frames }), tokens)
}

/** Each position's attentions over the tokens get mean 0 and deviation 1, so that loud positions don't draw every token. */
function normalise({ values, tokens, frames }: Attention): Attention {
  const scaled = new Float32Array(values.length)
  for (let frame = 0; frame < frames; frame++) {
    let sum = 0
    let squares = 0
    for (let token = 0; token < tokens; token++) {
      const value = values[token * frames + frame] ?? 0
      sum += value
      squares += value * value
    }
    const mean = sum / tokens
    const deviation = Math.sqrt(Math.max(0, squares / tokens - mean * mean)) + QUIET
    for (let token = 0; token < tokens; token++) {
      const at = token * frames + frame
      scaled[at] = ((values[at] ?? 0) - mean) / deviation
    }
  }
  return { values: scaled, tokens, frames }
}

/** Over time, mirrored at the ends. Clips shorter than the filter stay as they are. */
function medianFilter({ values, tokens, frames }: Attention, width: number): Float32Array {
  const half = Math.floor(width / 2)
  if (frames <= half) return values
  const smooth = new Float32Array(values.length)
  const around = new Float32Array(2 * half + 1)
  for (let token = 0; token < tokens; token++)
    for (let frame = 0; frame < frames; frame++) {
      for (let step = -half; step <= half; step++)
        around[step + half] = values[token * frames + mirrored(frame + step, frames)] ?? 0
      smooth[token * frames + frame] = middle(around)
    }
  return smooth
}

/** Sorts in place, by insertion: there are seven. */
function middle(values: Float32Array): number {
  for (let at = 1; at < values.length; at++) {
    const value = values[at] ?? 0
    let to = at
    for (; to > 0 && (values[to - 1] ?? 0) > value; to--) values[to] = values[to - 1] ?? 0
    values[to] = value
  }
  return values[values.length >> 1] ?? 0
}

const mirrored = (at: number, length: number): number => (at < 0 ? -at : at >= length ? 2 * (length - 1) - at : at)

const [DIAGONAL, NEXT_TOKEN, NEXT_FRAME] = [0, 1, 2] as const

/** Dynamic time warping: the moves of the path with the most attention, [tokens + 1, frames + 1]. */
function warp({ values, tokens, frames }: Attention): Uint8Array {
  const width = frames + 1
  const cost = new Float32Array((tokens + 1) * width).fill(Infinity)
  const moves = new Uint8Array(cost.length)
  cost[0] = 0
  for (let frame = 1; frame <= frames; frame++)
    for (let token = 1; token <= tokens; token++) {
      const at = token * width + frame
      const diagonal = cost[at - width - 1] ?? Infinity
      const down = cost[at - width] ?? Infinity
      const right = cost[at - 1] ?? Infinity
      const move =
        diagonal < down && diagonal < right ? DIAGONAL : down < diagonal && down < right ? NEXT_TOKEN : NEXT_FRAME
      moves[at] = move
      cost[at] = Math.min(diagonal, down, right) - (values[(token - 1) * frames + frame - 1] ?? 0)
    }
  return moves
}

/** Back along the path from the last token at the last frame; the earliest frame of each token stays. */
function firstFrames(moves: Uint8Array, tokens: number): number[] {
  const width = moves.length / (tokens + 1)
  const first = Array.from({ length: tokens }, () => 0)
  let token = tokens
  let frame = width - 1
  while (token > 0 && frame > 0) {
    first[token - 1] = frame - 1
    const move = moves[token * width + frame]
    if (move !== NEXT_FRAME) token--
    if (move !== NEXT_TOKEN) frame--
  }
  return first
}
