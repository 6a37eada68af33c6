/** What the names in `POST /v1/audio/speech` mean here. */
import type { SpeechRequest } from '@hearth/shared/model-api'

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = ['kokoro', 'tts-1', 'tts-1-hd', 'gpt-4o-mini-tts'] as const

/** The voice's name in either spelling. */
export const voiceName = (voice: SpeechRequest['voice']): string | undefined =>
  typeof voice === 'object' ? voice.id : voice
