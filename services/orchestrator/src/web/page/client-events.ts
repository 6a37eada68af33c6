/** What the page sends over /v1/realtime. */
import { WIRE_RATE_HZ } from './pcm.ts'

export type TurnEnd = 'silence' | 'meaning'

export type Choices = {
  /** '' leaves it to the server, which takes one that speaks the language of the reply. */
  readonly voice: string
  /** '' has it detected. */
  readonly language: string
  readonly isHandsFree: boolean
  /** How the end of what somebody says is known, without a button. */
  readonly turnEnd: TurnEnd
}

const FORMAT = { type: 'audio/pcm', rate: WIRE_RATE_HZ }

export function sessionUpdate({ voice, language, isHandsFree, turnEnd }: Choices) {
  const detection = {
    type: turnEnd === 'meaning' ? 'semantic_vad' : 'server_vad',
    create_response: true,
    interrupt_response: true,
  }
  const transcription = { model: 'whisper-1', ...(language !== '' && { language }) }
  return {
    type: 'session.update',
    session: {
      type: 'realtime',
      output_modalities: ['audio'],
      audio: {
        input: { format: FORMAT, transcription, turn_detection: isHandsFree ? detection : null },
        // Null takes an earlier choice back.
        output: { format: FORMAT, voice: voice === '' ? null : voice },
      },
    },
  }
}

export const appendAudio = (audio: string) => ({ type: 'input_audio_buffer.append', audio })

/** What was said is whole: it is heard and answered. */
export const sendSpeech = () => [{ type: 'input_audio_buffer.commit' }, { type: 'response.create' }]

export const sendText = (id: string, text: string) => [
  {
    type: 'conversation.item.create',
    item: { id, type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
  },
  { type: 'response.create' },
]

/** The reply ends; the conversation keeps what was heard of it. */
export const truncate = (itemId: string, heardMs: number) => ({
  type: 'conversation.item.truncate',
  item_id: itemId,
  content_index: 0,
  audio_end_ms: heardMs,
})
