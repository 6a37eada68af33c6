/** Whether a voice that a caller names can be had. */
import { AppError } from '@hearth/shared/errors'
import type { TextToSpeech } from './stages/tts.ts'

/**
 * A voice that doesn't exist is refused before any work (`voice_not_found`); a voice service that doesn't answer is the turn's to live without.
 * Throws the signal's reason.
 */
export async function requireVoice(voice: string, tts: TextToSpeech, signal: AbortSignal): Promise<void> {
  await tts.requireVoice(voice, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof AppError && error.status < 500 && error.code !== 'overloaded') throw error
  })
}
