/** Stages for tests: each answers at once with something that shows what it was given, and records its calls. */
import type { Stages } from '../turn-events.ts'
import type { Prompt } from '../stages/llm.ts'
import type { Said } from '../stages/memory.ts'

export type FakeStages = {
  readonly stages: Stages
  readonly prompts: Prompt[]
  readonly spoken: string[]
  readonly remembered: Said[]
}

export const MEMORY = {
  id: 'm1',
  text: 'My name is Anna.',
  score: 0.9,
  similarity: 0.9,
  recency: 1,
  importance: 0.9,
}

/** "Hello there, Anna. How are you?" in five pieces, each fragment spoken as one sample per character. */
export function fakeStages(overrides: Partial<Stages> = {}): FakeStages {
  const prompts: Prompt[] = []
  const spoken: string[] = []
  const remembered: Said[] = []
  const stages: Stages = {
    stt: { transcribe: async () => ({ text: 'Good morning.', language: 'en', model: 'fake/ear' }) },
    memory: {
      recall: async () => ({ memories: [MEMORY], model: 'fake/vectors' }),
      remember: async (said) => void remembered.push(said),
    },
    llm: {
      name: 'fake/mind',
      async *reply(prompt) {
        prompts.push(prompt)
        for (const text of ['Hello ', 'there, ', 'Anna. ', 'How are ', 'you?']) yield { text, model: 'fake/mind' }
      },
    },
    tts: {
      async speak(text) {
        spoken.push(text)
        return { pcm: new Uint8Array(text.length * 2).fill(1), sampleRateHz: 24_000, model: 'fake/voice' }
      },
      voiceFor: async () => undefined,
      requireVoice: async () => {},
    },
    ...overrides,
  }
  return { stages, prompts, spoken, remembered }
}
