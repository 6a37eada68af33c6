/** A typed turn over POST /generate, for when there is no socket: its events as those of /v1/realtime, so that the page shows both alike. */
import type { GenerateReply } from '@hearth/shared/api'
import { eventsOf } from './event-stream.ts'
import type { StreamedEvent } from './event-stream.ts'
import type { ServerEvent } from './server-events.ts'
import type { Server } from './server.ts'

/** `turn` names the reply until the server does. */
export async function* asServerEvents(
  events: AsyncIterable<StreamedEvent>,
  turn: string,
): AsyncGenerator<ServerEvent, void, void> {
  const reply = { response_id: turn, item_id: `${turn}-reply` }
  const done = (status: string, message?: string): ServerEvent => ({
    type: 'response.done',
    response: { id: turn, status, ...(message !== undefined && { status_details: { error: { message } } }) },
  })
  let memories: GenerateReply['memories'] = []
  let isOver = false
  yield { type: 'response.created', response: { id: turn } }
  for await (const { name, data } of events) {
    const body = JSON.parse(data)
    if (name === 'memory') memories = body.memories
    if (name === 'reply.delta') yield { type: 'response.output_text.delta', delta: body.text, ...reply }
    if (name === 'audio') yield { type: 'response.output_audio.delta', delta: body.base64, ...reply }
    if (name === 'error' || name === 'done') isOver = true
    if (name === 'error') yield done('failed', body.error.message)
    if (name !== 'done') continue
    yield done('completed')
    yield { type: 'hearth.turn', response_id: turn, status: 'completed', ...body, memories }
  }
  if (!isOver) yield done('failed', 'The connection broke off.')
}

export type TypedTurn = {
  readonly text: string
  readonly session: string
  readonly user: string
  readonly voice: string
  readonly language: string
}

/** Holds the turn; rejects in the server's words when it refuses, and with the signal's reason. */
export async function* generateTurn(
  server: Server,
  { voice, language, ...asked }: TypedTurn,
  turn: string,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent, void, void> {
  const body = { ...asked, ...(voice !== '' && { voice }), ...(language !== '' && { language }) }
  const reply = await server.post('generate', body, { headers: { accept: 'text/event-stream' }, signal })
  yield* asServerEvents(eventsOf(piecesOf(reply.body)), turn)
}

/** By hand, as not every browser can iterate a stream. */
async function* piecesOf(body: ReadableStream<Uint8Array<ArrayBuffer>> | null): AsyncGenerator<string, void, void> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) yield piece.value
}
