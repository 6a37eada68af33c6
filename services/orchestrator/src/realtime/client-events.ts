/** What clients may send, in the GA form of OpenAI's realtime protocol. A field that nobody knows is passed over, an event is refused. */
import { parseStrictJson } from '@hearth/shared/strict-json'
import { check } from '@hearth/shared/request-body'
import { AppError } from '@hearth/shared/errors'
import * as z from 'zod'
import { GivenItem } from './items.ts'
import { ResponseOptions, SessionPatch } from './session-config.ts'

const Id = z.string().min(1).max(128)
const event = <T extends string, S extends z.core.$ZodLooseShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), event_id: z.string().max(512).nullish(), ...shape })

/** For a response of its own: items, or the ids of some. */
const ResponseInput = z.union([z.object({ type: z.literal('item_reference'), id: Id }), GivenItem])

const ResponseCreate = ResponseOptions.extend({
  conversation: z.enum(['auto', 'none'], 'expected auto or none').nullish(),
  input: z.array(ResponseInput).max(256).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
})
export type ResponseCreate = z.infer<typeof ResponseCreate>

export const ClientEvent = z.discriminatedUnion('type', [
  event('session.update', { session: SessionPatch }),
  event('input_audio_buffer.append', { audio: z.string() }),
  event('input_audio_buffer.commit', {}),
  event('input_audio_buffer.clear', {}),
  event('conversation.item.create', { item: GivenItem, previous_item_id: Id.nullish() }),
  event('conversation.item.delete', { item_id: Id }),
  event('conversation.item.retrieve', { item_id: Id }),
  event('conversation.item.truncate', {
    item_id: Id,
    content_index: z.int().min(0).default(0),
    audio_end_ms: z.int().min(0),
  }),
  event('response.create', { response: ResponseCreate.nullish() }),
  event('response.cancel', { response_id: Id.nullish() }),
  event('output_audio_buffer.clear', {}),
])
export type ClientEvent = z.infer<typeof ClientEvent>
type Type = ClientEvent['type']
export type ClientEventOf<T extends Type> = Extract<ClientEvent, { type: T }>

const KNOWN: ReadonlySet<string> = new Set(ClientEvent.options.map((option) => option.shape.type.value))

export type Frame = Readonly<Record<string, unknown>>

/** A frame's text as the object it must be, in whichever form. Throws what `parseStrictJson` throws, and `invalid_request`. */
export function readFrame(text: string): Frame {
  const value = parseStrictJson(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new AppError('invalid_request', 'expected an object')
}

/** Throws `unknown_event` or `invalid_request`. */
export function readEvent(frame: Frame): ClientEvent {
  const type = typeof frame['type'] === 'string' ? frame['type'] : ''
  if (KNOWN.has(type)) return check(frame, ClientEvent)
  const shown = /^[\w.]{1,80}$/.test(type) ? type : type === '' ? 'none' : 'another'
  throw new AppError('unknown_event', `expected a known type of event, got ${shown}`, { param: 'type' })
}
