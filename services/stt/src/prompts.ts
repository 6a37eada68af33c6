/** What the decoder is given before it writes: earlier words, start, language, task. */
import { previousToken } from './generation-settings.ts'
import type { SpeechInput } from './speech.ts'
import type { WhisperModel } from './whisper-model.ts'

/** Language null: a model for English only, which has no tokens for languages and tasks. */
export function startTokens(
  { settings }: WhisperModel,
  { language, input, hasTimestamps }: { language: number | null; input: SpeechInput; hasTimestamps: boolean },
): number[] {
  const { decoder_start_token_id: start, no_timestamps_token_id: noTimestamps, task_to_id: tasks } = settings
  const { task: name = 'transcribe' } = input
  const kind = hasTimestamps ? [] : [noTimestamps]
  if (language === null) return [start, ...kind]
  const task = tasks[name]
  if (task === undefined) throw new Error(`expected the task "${name}" in generation_config.json`)
  return [start, language, task, ...kind]
}

/** The words before the start: none, or their mark, the hot words, and the end of the prompt, as many as there is room for. */
export function earlierTokens({ tokenizer, settings, maxTokens }: WhisperModel, input: SpeechInput): number[] {
  const tokensOf = (text: string | undefined): number[] => {
    const trimmed = text?.trim()
    return trimmed ? tokenizer.encode(` ${trimmed}`, { add_special_tokens: false }) : []
  }
  const room = maxTokens - 1
  const hot = tokensOf(input.hotwords).slice(0, Math.floor(room / 2))
  const earlier = tokensOf(input.prompt).slice(-(room - hot.length))
  const all = [...hot, ...earlier]
  return all.length > 0 ? [previousToken(settings), ...all] : []
}
