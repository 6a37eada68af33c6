/** In which form a turn is answered: `response_format` says it, or else the `Accept` header. */
import type { GenerateFields } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Context } from 'hono'
import { accepts } from 'hono/accepts'
import { parseAccept } from 'hono/utils/accept'

/** `sound`: while it is made. */
export type ReplyForm =
  | { readonly kind: 'json' | 'wav' | 'events' }
  | { readonly kind: 'sound'; readonly format: 'wav' | 'pcm' }

const SUPPORTED = ['application/json', 'text/event-stream', 'audio/wav', 'audio/x-wav', 'audio/pcm', 'audio/*']

/** JSON unless something else is asked for. Throws `invalid_request` for the sound of a turn that is not to be spoken. */
export function replyForm(c: Context, fields: Pick<GenerateFields, 'response_format' | 'speak'>): ReplyForm {
  const type = accepts(c, { header: 'Accept', supports: SUPPORTED, default: 'application/json' })
  if (type === 'text/event-stream') return { kind: 'events' }
  const format = fields.response_format ?? (type === 'audio/pcm' ? 'pcm' : type.startsWith('audio/') ? 'wav' : 'json')
  if (format === 'json') return { kind: 'json' }
  if (fields.speak === false)
    throw new AppError('invalid_request', 'speak: expected true for a reply that is sound', { param: 'speak' })
  if (format === 'pcm' || asksForStream(c.req.header('accept') ?? '')) return { kind: 'sound', format }
  return { kind: 'wav' }
}

/** `audio/wav;stream=true` */
const asksForStream = (accept: string): boolean =>
  parseAccept(accept).some(({ type, params }) => /^audio\/(?:x-)?wav$/i.test(type) && params['stream'] === 'true')
