/** What a model's files say it can do, for the side that serves: a request for anything else is refused before it takes a place. */
import { knownLanguages, readGenerationSettings } from './generation-settings.ts'
import { hasAttentions } from './whisper-model.ts'
import type { WhisperFiles } from './whisper-model.ts'

export type Abilities = {
  /** Codes. */
  readonly languages: readonly string[]
  readonly canTranslate: boolean
  readonly canTimeWords: boolean
}

export async function readAbilities(files: Pick<WhisperFiles, 'dir' | 'dtype'>): Promise<Abilities> {
  const settings = await readGenerationSettings(files.dir)
  return {
    languages: knownLanguages(settings).map(({ code }) => code),
    canTranslate: settings.is_multilingual && settings.task_to_id['translate'] !== undefined,
    canTimeWords: await hasAttentions(files),
  }
}
