/** The stages of a turn as the settings want them: the clients of the other services, each with its limits and its second chance. */
import type { Log } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from './config.ts'
import type { JobQueue } from './jobs/queue.ts'
import { createQueuedStt } from './jobs/queued-stt.ts'
import type { Send } from './replica-send.ts'
import { Breaker } from './stages/breaker.ts'
import type { LanguageModel } from './stages/llm.ts'
import type { Memory } from './stages/memory.ts'
import { createSttClient } from './stages/stt.ts'
import type { SpeechToText } from './stages/stt.ts'
import { createTtsClient, PROBE } from './stages/tts.ts'
import type { TextToSpeech } from './stages/tts.ts'
import type { Stages } from './turn-events.ts'

export type StageParts = {
  readonly memory: Memory
  readonly llm: LanguageModel
  /** Where there is a Redis. */
  readonly queue: JobQueue | undefined
  /** How to reach a service; once, at its one address, when it is left out. */
  readonly send?: Send
  readonly log: Log
}

type Config = Pick<OrchestratorConfig, 'stt' | 'tts'>

/** What stages there are, and what else is made of the same services. */
export type OpenStages = Stages & {
  /** The stt service without the queue. */
  readonly directStt: SpeechToText
  /** Ends what they do in the background. */
  close(): void
}

export function createStages({ stt, tts }: Config, parts: StageParts): OpenStages {
  const { memory, llm, queue, send, log } = parts
  const reached = { retries: true, ...(send && { send }) }
  const direct = createSttClient({ stage: 'stt', ...stt, ...reached })
  const voice = createTtsClient({ stage: 'tts', ...tts, ...reached }, { voicesLimitMs: tts.voicesLimitMs })
  const probe = (signal: AbortSignal) => voice.speak(PROBE, undefined, signal)
  const breaker = new Breaker({ stage: 'tts', probe, probeLimitMs: tts.firstByteMs, log })
  return {
    stt: queue ? createQueuedStt({ queue, direct, limitMs: stt.limitMs }) : direct,
    memory,
    llm,
    tts: guarded(voice, breaker),
    directStt: direct,
    close: () => breaker.close(),
  }
}

const guarded = (voice: TextToSpeech, breaker: Breaker): TextToSpeech => ({
  speak: (text, name, signal, speed) => breaker.call(() => voice.speak(text, name, signal, speed), signal),
  // A voice of its own is not worth a wait when there may be none at all.
  voiceFor: async (language, signal) => (breaker.isFailing ? undefined : voice.voiceFor(language, signal)),
  requireVoice: (name, signal) => breaker.call(() => voice.requireVoice(name, signal), signal),
})
