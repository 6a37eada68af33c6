/** generation_config.json: what a model says about its own tokens. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

/** What every family has. */
export const TokenSettings = z.object({
  decoder_start_token_id: z.number(),
  eos_token_id: z.union([z.number(), z.tuple([z.number()], z.number())]),
  suppress_tokens: z.array(z.number()).nullish(),
  begin_suppress_tokens: z.array(z.number()).nullish(),
})
export type TokenSettings = z.infer<typeof TokenSettings>

/** Whisper's. */
export const GenerationSettings = TokenSettings.extend({
  no_timestamps_token_id: z.number(),
  prev_sot_token_id: z.number().nullish(),
  is_multilingual: z.boolean().default(false),
  /** `<|en|>` to its token. */
  lang_to_id: z.record(z.string(), z.number()).default({}),
  task_to_id: z.record(z.string(), z.number()).default({}),
  max_initial_timestamp_index: z.number().nullish(),
  /** [layer, head] of the decoder heads that look at the word being written. */
  alignment_heads: z.array(z.tuple([z.number(), z.number()])).nullish(),
})
export type GenerationSettings = z.infer<typeof GenerationSettings>

/** Throws when the file is missing or not a Whisper's. */
export async function readGenerationSettings(dir: string): Promise<GenerationSettings> {
  return GenerationSettings.parse(await readGenerationFile(dir))
}

export async function readTokenSettings(dir: string): Promise<TokenSettings> {
  return TokenSettings.parse(await readGenerationFile(dir))
}

const readGenerationFile = async (dir: string): Promise<unknown> =>
  JSON.parse(await readFile(join(dir, 'generation_config.json'), 'utf8'))

export const endToken = ({ eos_token_id: id }: TokenSettings): number => (typeof id === 'number' ? id : id[0])

/** `<|0.00|>`: the timestamps follow "no timestamps" in all Whisper vocabularies. */
export const firstTimestamp = (settings: GenerationSettings): number => settings.no_timestamps_token_id + 1

/** "No speech" and "what was said before" stand before it, in this order reversed. */
export const noSpeechToken = (settings: GenerationSettings): number => settings.no_timestamps_token_id - 1
export const previousToken = (settings: GenerationSettings): number =>
  settings.prev_sot_token_id ?? settings.no_timestamps_token_id - 2

/** Codes of the languages a model can transcribe, with their tokens; a model for English only has no token for it. */
export function knownLanguages(settings: GenerationSettings): readonly { code: string; token: number | null }[] {
  if (!settings.is_multilingual) return [{ code: 'en', token: null }]
  return Object.entries(settings.lang_to_id).map(([name, token]) => ({ code: name.slice(2, -2), token }))
}
