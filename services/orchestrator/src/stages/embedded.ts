/** The embedded chat model as a language model: it is there without any other program, and loads when it is first needed. */
import type { Model } from '@hearth/shared/model'
import { streamOf } from '../stream.ts'
import type { Written } from './chat-engine.ts'
import type { LanguageModelEntry, Prompt, ReplyPiece, Sampling } from './llm.ts'

/** OpenAI's names. */
const SAMPLING_FIELDS = {
  topP: 'top_p',
  stop: 'stop',
  seed: 'seed',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  json: 'response_format',
} as const satisfies Record<keyof Sampling, string>

/** A thread can't be made to wait for its reader; a whole reply is small. */
const UNBOUNDED = Infinity

export function createEmbeddedChat(
  model: Pick<Model<Prompt, Written, string>, 'status' | 'submit'>,
): LanguageModelEntry {
  return {
    get name() {
      return model.status.id
    },
    get status() {
      return model.status
    },
    isUsable: () => true,
    ignores: ({ tools, toolChoice, sampling = {} }) => [
      ...(tools ? ['tools'] : []),
      ...(toolChoice === undefined ? [] : ['tool_choice']),
      ...Object.keys(sampling).map((field) => SAMPLING_FIELDS[field as keyof Sampling]),
    ],
    reply: (prompt, signal) =>
      streamOf<ReplyPiece>(UNBOUNDED, signal, async (emit, stop) => {
        const pass = (text: string): void => {
          // It fails only when the reader has left, and then nobody is there to hear of it.
          emit({ text, model: model.status.id }).catch(() => {})
        }
        const { output } = await model.submit(prompt, stop, pass)
        const usage = { promptTokens: output.promptTokens, replyTokens: output.tokens }
        await emit({ text: '', model: model.status.id, usage })
      }),
  }
}
