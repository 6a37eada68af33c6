/** The ear: a WAV file in, its words out. */
import { Transcription } from '@hearth/shared/api'
import type { AppError } from '@hearth/shared/errors'
import { formBody } from '@hearth/shared/form-body'
import { callService } from './service.ts'
import type { Service } from './service.ts'

/** `text` is trimmed, and empty when nobody spoke. */
export type Heard = {
  readonly text: string
  readonly language: string
  readonly model: string
  /** Why the job queue had no part in it, where there is one. */
  readonly unqueued?: AppError
}

export interface SpeechToText {
  /** `wav`: the bytes of a whole file. `language`: a code or an English name; detected when it is left out. */
  transcribe(wav: Uint8Array, signal: AbortSignal, language?: string): Promise<Heard>
}

/** Hearth's stt service, or any server of OpenAI's `POST /v1/audio/transcriptions`. */
export function createSttClient(service: Service): SpeechToText {
  return {
    async transcribe(wav, signal, language) {
      const request = { method: 'POST', ...(await formBody(transcriptionForm(wav, language))) }
      return callService(service, '/v1/audio/transcriptions', request, readHeard, signal)
    },
  }
}

/** What is asked of the service. */
export function transcriptionForm(wav: Uint8Array, language: string | undefined): FormData {
  const form = new FormData()
  form.append('file', new Blob([Uint8Array.from(wav)], { type: 'audio/wav' }), 'speech.wav')
  form.append('response_format', 'json')
  if (language !== undefined) form.append('language', language)
  return form
}

/** What a good answer says. */
export async function readHeard(response: Response): Promise<Heard> {
  const heard = Transcription.parse(await response.json())
  return { ...heard, text: heard.text.trim() }
}
