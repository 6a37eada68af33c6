/** A greeting's wishes as far as the model can meet them: a client hears with less rather than not at all, and is told. Another model may sit there later. */
import { findLanguage } from '@hearth/shared/languages'
import type { Abilities } from '../abilities.ts'
import type { Hello } from './protocol.ts'

/** `abilities`: null until the model's files are there; then all is wished for, and the engine does what it can. */
export function fitHello(hello: Hello, abilities: Abilities | null): { hello: Hello; warnings: readonly string[] } {
  if (abilities === null) return { hello, warnings: [] }
  const { canTranslate, canTimeWords, canBePrompted, languages } = abilities
  const { language, task, hasWords, prompt, hotwords } = hello
  const known = language === null ? null : (findLanguage(language, languages) ?? null)
  const isPrompted = prompt !== undefined || hotwords !== undefined
  const warnings = [
    ...(language !== null && known === null ? ['the model does not know this language: it is detected instead'] : []),
    ...(task === 'translate' && !canTranslate ? ['the model can not translate: it writes what is said'] : []),
    ...(hasWords && !canTimeWords ? ['word times are not available with this model'] : []),
    ...(isPrompted && !canBePrompted ? ['this model can not be prompted'] : []),
  ]
  return {
    hello: {
      ...hello,
      language: known,
      task: canTranslate ? task : 'transcribe',
      hasWords: hasWords && canTimeWords,
      ...(!canBePrompted && { prompt: undefined, hotwords: undefined }),
    },
    warnings,
  }
}

/** The wishes for each next input, by the model that is to hear it. `warn` is called for what that one can't do, once it sits there. */
export function fitting(
  greeting: Hello,
  abilities: () => Abilities | null,
  warn: (warning: string) => void,
): () => Hello {
  let known: Abilities | null = null
  let latest = fitHello(greeting, null)
  return () => {
    const found = abilities()
    if (found === null || found === known) return latest.hello
    const before = latest.warnings
    known = found
    latest = fitHello(greeting, found)
    for (const warning of latest.warnings) if (!before.includes(warning)) warn(warning)
    return latest.hello
  }
}
