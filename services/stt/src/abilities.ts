/** What a model's files say it can do, for the side that serves: a request for anything else is refused before it takes a place. */
import { knownLanguages, readGenerationSettings } from './generation-settings.ts'
import { hasAttentions } from './graph-outputs.ts'
import { readFamily } from './model-family.ts'
import type { ModelFamily } from './model-family.ts'
import type { SpeechModelFiles } from './seq2seq.ts'

export type Abilities = {
  /** Null while it is not known. */
  readonly family: ModelFamily | null
  /** Codes. */
  readonly languages: readonly string[]
  readonly canTranslate: boolean
  readonly canTimeWords: boolean
  /** Whether it takes a prompt and hot words. */
  readonly canBePrompted: boolean
  /** Whether recordings of different lengths gain by sharing a batch. */
  readonly canMixLengths: boolean
}

type Files = Pick<SpeechModelFiles, 'dir' | 'dtype'>

const READ: Record<ModelFamily, (files: Files) => Promise<Abilities>> = {
  whisper: async (files) => {
    const settings = await readGenerationSettings(files.dir)
    return {
      family: 'whisper',
      languages: knownLanguages(settings).map(({ code }) => code),
      canTranslate: settings.is_multilingual && settings.task_to_id['translate'] !== undefined,
      canTimeWords: await hasAttentions(files),
      canBePrompted: true,
      canMixLengths: true,
    }
  },
  moonshine: async () => ({
    family: 'moonshine',
    languages: ['en'],
    canTranslate: false,
    canTimeWords: false,
    canBePrompted: false,
    canMixLengths: false,
  }),
}

export const readAbilities = async (files: Files): Promise<Abilities> => READ[await readFamily(files.dir)](files)
