/** The rehearsal's live conversation: a sentence over `/v1/realtime`, as a microphone sends it, until it is answered. */
import { pcm16, resample } from '@hearth/shared/audio'
import type { Audio } from '@hearth/shared/audio'
import { orAborted } from '@hearth/shared/waits'
import { WebSocket } from 'ws'
import * as z from 'zod'

/** This service as its callers see it. */
export type Door = { readonly base: string; readonly headers: Readonly<Record<string, string>> }

/** Nobody's: what is left of it when it is given up is in nobody's list. */
const PLACE = '?session=rehearsal&user=rehearsal'
const RATE_HZ = 24_000
/** Ends any turn. */
const SILENCE_SECONDS = 1
const FRAME_SECONDS = 0.1

const Told = z.object({ type: z.string() })

/** Rejects when it is not answered, or with the signal's reason. */
export async function holdConversation({ base, headers }: Door, speech: Audio, signal: AbortSignal): Promise<void> {
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/v1/realtime${PLACE}`, { headers })
  const { promise: answered, resolve, reject } = Promise.withResolvers<void>()
  socket.on('error', reject)
  socket.on('close', () => reject(new Error('the conversation was closed')))
  socket.on('message', (data: Buffer) => {
    const { type } = Told.parse(JSON.parse(data.toString('utf8')))
    if (type === 'session.created') for (const audio of framesOf(speech)) socket.send(appended(audio))
    if (type === 'response.done') resolve()
  })
  try {
    await orAborted(answered, signal)
    await fetch(`${base}/sessions/rehearsal?user=rehearsal`, { method: 'DELETE', headers, signal })
  } finally {
    socket.terminate()
  }
}

function* framesOf(speech: Audio): Generator<Buffer, void, void> {
  const silence = Buffer.alloc(SILENCE_SECONDS * RATE_HZ * 2)
  const sound = Buffer.concat([pcm16(resample(speech, RATE_HZ).samples), silence])
  const size = FRAME_SECONDS * RATE_HZ * 2
  for (let at = 0; at < sound.length; at += size) yield sound.subarray(at, at + size)
}

const appended = (audio: Buffer): string =>
  JSON.stringify({ type: 'input_audio_buffer.append', audio: audio.toString('base64') })
