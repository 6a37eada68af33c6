/** What runs inside a decoding thread: one file at a time comes in, is read through, and its samples go out, of a long one as they are asked for. */
import { parentPort } from 'node:worker_threads'
import { toAppError } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import { giveWay } from '@hearth/shared/thread-priority'
import { readAudio, streamAudio } from './read-audio.ts'
import type { CheckedAudio, Piece } from './read-audio.ts'
import type { AudioLimits } from './recording-length.ts'

export type DecodeTask =
  | { readonly type: 'read' | 'open'; readonly bytes: Uint8Array<ArrayBuffer>; readonly limits: AudioLimits }
  /** The next piece of what was opened. */
  | { readonly type: 'next' }
export type DecodeMessage =
  | { readonly type: 'progress'; readonly seconds: number }
  /** `bytes`: the file again, when it is to be opened. */
  | { readonly type: 'read'; readonly audio: CheckedAudio; readonly bytes: Uint8Array<ArrayBuffer> | null }
  /** None after the last. */
  | { readonly type: 'piece'; readonly piece: Piece | null }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string; readonly param: string | null }

const port = parentPort
if (!port) throw new Error('this is a bug: decode-thread.ts runs only inside a worker thread')
giveWay('aside')

/** Seconds of sound between two messages. */
const PROGRESS_SECONDS = 30

let open: ReturnType<typeof streamAudio> | undefined

port.on('message', (task: DecodeTask) => void answer(task))

async function answer(task: DecodeTask): Promise<void> {
  try {
    if (task.type === 'read') return await read(task.bytes, task.limits)
    if (task.type === 'open') open = streamAudio(task.bytes, task.limits)
    const piece = (await open?.next())?.value ?? null
    if (piece === null) open = undefined
    send({ type: 'piece', piece }, piece === null ? [] : [piece.buffer])
  } catch (error) {
    const { code, message, param } = toAppError(error)
    send({ type: 'refused', code, message, param })
  }
}

async function read(file: Uint8Array<ArrayBuffer>, limits: AudioLimits): Promise<void> {
  let told = 0
  const audio = await readAudio(file, limits, (seconds) => {
    if (seconds < told + PROGRESS_SECONDS) return
    told = seconds
    send({ type: 'progress', seconds })
  })
  const bytes = audio.pieces === null ? file : null
  send({ type: 'read', audio, bytes }, bytes ? [bytes.buffer] : (audio.pieces?.map(({ buffer }) => buffer) ?? []))
}

const send = (message: DecodeMessage, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved)
