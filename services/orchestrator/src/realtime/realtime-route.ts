/** The address of live conversations, as HTTP knows it: requests that do not change to a WebSocket are told to. */
import { NAME } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import type { Hono } from 'hono'
import * as z from 'zod'

export const REALTIME_PATH = '/v1/realtime'

/** What may stand in the address. */
export const RealtimeQuery = z.object({
  model: z.string().min(1).max(200).optional().describe('Any name.'),
  intent: z
    .literal('transcription', 'expected transcription')
    .optional()
    .describe('Transcripts only, without responses; needs no model.'),
  session: NAME.optional().describe('Which conversation, as in `POST /generate`: a reconnect goes on with it.'),
  user: NAME.optional().describe('Whose session and memory it is; `default` when left out.'),
  hearth: z
    .enum(['true', 'false'])
    .optional()
    .describe('`true`: also Hearth’s own events, `hearth.loading` and `hearth.turn`.'),
})
export type RealtimeQuery = z.infer<typeof RealtimeQuery>

/** Adds the answer for requests without an upgrade. */
export function addRealtimeRoute(app: Hono<AppEnv>): void {
  app.get(REALTIME_PATH, () => {
    throw new AppError('upgrade_required', 'expected a WebSocket')
  })
}
