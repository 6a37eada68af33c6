/** What the reader chose, kept in this browser; which conversation this tab is in, kept in the tab. */
import type { TurnEnd } from './client-events.ts'

export type Settings = { voice: string; language: string; turnEnd: TurnEnd; user: string }

const KEPT = 'hearth-settings'
const SESSION = 'hearth-session'
const DEFAULTS: Settings = { voice: '', language: '', turnEnd: 'silence', user: 'default' }

export function readSettings(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Partial<Settings>) }
  } catch {
    return { ...DEFAULTS }
  }
}

export const keepSettings = (settings: Settings): void => localStorage.setItem(KEPT, JSON.stringify(settings))

export const newSession = (): string => `page-${crypto.getRandomValues(new Uint32Array(3)).join('-')}`

/** A reload goes on with the conversation; another tab has one of its own. */
export function currentSession(): string {
  const known = sessionStorage.getItem(SESSION)
  if (known !== null) return known
  const made = newSession()
  keepSession(made)
  return made
}

export const keepSession = (session: string): void => sessionStorage.setItem(SESSION, session)
