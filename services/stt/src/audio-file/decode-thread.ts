/** What runs inside a decoding thread: one file at a time comes in, its samples go out. */
import { parentPort } from 'node:worker_threads'
import { toAppError } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import { giveWay } from '@hearth/shared/thread-priority'
import { readAudio } from './read-audio.ts'
import type { ReadAudio } from './read-audio.ts'
import type { AudioLimits } from './samples-writer.ts'

export type DecodeTask = { readonly bytes: Uint8Array<ArrayBuffer>; readonly limits: AudioLimits }
export type DecodeMessage =
  | { readonly type: 'progress'; readonly seconds: number }
  | { readonly type: 'done'; readonly audio: ReadAudio }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string; readonly param: string | null }

const port = parentPort
if (!port) throw new Error('this is a bug: decode-thread.ts runs only inside a worker thread')
giveWay('aside')

/** Seconds of sound between two messages. */
const PROGRESS_SECONDS = 30

port.on('message', (task: DecodeTask) => void answer(task))

async function answer({ bytes, limits }: DecodeTask): Promise<void> {
  let told = 0
  const tell = (seconds: number) => {
    if (seconds < told + PROGRESS_SECONDS) return
    told = seconds
    port?.postMessage({ type: 'progress', seconds } satisfies DecodeMessage)
  }
  try {
    const audio = await readAudio(bytes, limits, tell)
    port?.postMessage({ type: 'done', audio } satisfies DecodeMessage, [audio.samples.buffer])
  } catch (error) {
    const { code, message, param } = toAppError(error)
    port?.postMessage({ type: 'refused', code, message, param } satisfies DecodeMessage)
  }
}
