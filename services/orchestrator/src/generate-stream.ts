/**
 * `POST /generate` with `Accept: text/event-stream`: the events of a turn as they happen, so that the first clause is heard while the last one
 * is still being written (server-sent events, WHATWG HTML).
 */
import { toAppError } from '@hearth/shared/errors'
import { errorBody } from '@hearth/shared/error-response'
import type { TurnIds } from './generate-reply.ts'
import { toolCallBody } from './stages/tools.ts'
import { endingBody } from './turn-ending.ts'
import type { TurnEvent } from './turn-events.ts'

export type StreamOptions = TurnIds & {
  readonly requestId: string
  /** After so long without an event a comment says that the turn still goes on, for proxies and clients that would give up. */
  readonly keepAliveMs: number
  /** Hears of what ended the stream before its `done`. */
  readonly onError: (error: unknown) => void
}

/** One event as text: `event: reply.delta`, `data: {...}`, an empty line. Sound is base64 of s16le mono. */
function eventText(event: TurnEvent, ids: TurnIds): string {
  const { type, ...data } = event
  return frame(type, wireData(event, data, ids))
}

/** The turn's events as bytes. A failure after the first of them is an `error` event with the one error body, and the end. */
export async function* eventBytes(
  events: AsyncGenerator<TurnEvent, void, void>,
  { turn, session, requestId, keepAliveMs, onError }: StreamOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const encoder = new TextEncoder()
  let hasBegun = false
  try {
    for await (const event of orPauses(events, keepAliveMs)) {
      yield encoder.encode(event === null ? KEEP_ALIVE : eventText(event, { turn, session }))
      hasBegun = true
    }
  } catch (thrown) {
    // Before the first bytes there is no stream yet: the status can still tell.
    if (!hasBegun) throw thrown
    const error = toAppError(thrown)
    if (error.code === 'cancelled') return
    onError(thrown)
    yield encoder.encode(frame('error', errorBody(error, requestId)))
  }
}

/** A comment, which clients skip. */
const KEEP_ALIVE = ': still here\n\n'

/** `items` as they come, and null for each `everyMs` that passes without one. */
async function* orPauses<T>(
  items: AsyncGenerator<T, void, void>,
  everyMs: number,
): AsyncGenerator<T | null, void, void> {
  let next = items.next()
  // A reader that leaves during a pause never sees how this one ends.
  next.catch(() => {})
  try {
    for (;;) {
      const item = await orNull(next, everyMs)
      if (item?.done) return
      yield item && item.value
      if (item) next = items.next()
    }
  } finally {
    await items.return()
  }
}

async function orNull<T>(work: Promise<T>, limitMs: number): Promise<T | null> {
  const late = Promise.withResolvers<null>()
  const timer = setTimeout(() => late.resolve(null), limitMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

const frame = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

function wireData(event: TurnEvent, data: object, { turn, session }: TurnIds): object {
  if (event.type === 'transcript') return { turn, session, ...data }
  if (event.type === 'done') {
    const { reply, language, timings, waterfall, models, degraded, ending } = event
    return {
      turn,
      session,
      reply,
      language,
      ...endingBody(ending),
      timings,
      waterfall,
      models,
      degraded: [...degraded.keys()],
    }
  }
  if (event.type === 'tool_calls') return { tool_calls: event.calls.map(toolCallBody) }
  if (event.type !== 'audio') return data
  const { text, sampleRateHz, pcm } = event
  const base64 = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64')
  return { text, format: 'pcm', sampleRateHz, base64 }
}
