/** The choices as form fields: voices and languages as the server has them, the rest as index.html lists them. */
import { byId, make } from './dom.ts'
import type { Server } from './server.ts'
import { keepSettings, readSettings } from './settings.ts'
import type { Settings } from './settings.ts'

/** `onChange` hears whether somebody else talks now. Gives the settings, which stay current. */
export function setUpSettings(server: Server, onChange: (isOtherUser: boolean) => void): Settings {
  const settings = readSettings()
  const voice = byId('voice', HTMLSelectElement)
  const language = byId('language', HTMLSelectElement)
  const turnEnd = byId('turn-end', HTMLSelectElement)
  const user = byId('user', HTMLInputElement)
  turnEnd.value = settings.turnEnd
  user.value = settings.user
  const change = () => {
    if (!user.checkValidity() || user.value === '') user.value = settings.user
    const isOtherUser = settings.user !== user.value
    Object.assign(settings, {
      voice: voice.value,
      language: language.value,
      turnEnd: turnEnd.value,
      user: user.value,
    })
    keepSettings(settings)
    onChange(isOtherUser)
  }
  for (const field of [voice, language, turnEnd, user]) field.addEventListener('change', change)
  void fill(server, settings, { voice, language })
  return settings
}

async function fill(
  server: Server,
  settings: Settings,
  { voice, language }: Record<'voice' | 'language', HTMLSelectElement>,
): Promise<void> {
  const voices = await server.voices().catch(() => [])
  voice.append(...voices.map(({ id, name }) => make('option', { value: id }, name)))
  const codes = new Set(voices.flatMap(({ language: code }) => code?.split('-', 1) ?? []))
  const names = new Intl.DisplayNames('en', { type: 'language' })
  language.append(...[...codes].map((code) => make('option', { value: code }, names.of(code) ?? code)))
  voice.value = settings.voice
  language.value = settings.language
}
