/** What surrounds the conversation: the tabs, the panel, light and dark, notes, the question for the key. */
import type { Advice } from './microphone-advice.ts'
import { byId } from './dom.ts'

/** Tabs as the ARIA practices have them: arrows, Home and End move, and what is chosen is shown at once. */
export function setUpTabs(onShown: (name: string) => void): (name: string) => void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>('[role="tab"]')]
  const nameOf = (tab: HTMLButtonElement) => tab.id.replace('tab-', '')
  const choose = (chosen: HTMLButtonElement) => {
    for (const tab of tabs) {
      const isChosen = tab === chosen
      tab.setAttribute('aria-selected', String(isChosen))
      tab.tabIndex = isChosen ? 0 : -1
      byId(`panel-${nameOf(tab)}`, HTMLDivElement).hidden = !isChosen
    }
    onShown(nameOf(chosen))
  }
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(tab))
    tab.addEventListener('keydown', (event) => {
      const places: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }
      const target = tabs.at((places[event.key] ?? Number.NaN) % tabs.length)
      if (!(event.key in places) || !target) return
      event.preventDefault()
      target.focus()
      choose(target)
    })
  }
  return (name) => choose(byId(`tab-${name}`, HTMLButtonElement))
}

/**
 * Open beside the conversation where there is room; on a phone it covers it when asked for. Until the reader says so, the style sheet decides.
 * Gives a function that opens it.
 */
export function setUpDetails(): () => void {
  const main = byId('main', HTMLElement)
  const details = byId('details', HTMLElement)
  const toggle = byId('details-toggle', HTMLButtonElement)
  const tell = () => toggle.setAttribute('aria-expanded', String(details.checkVisibility()))
  const show = (isOpen: boolean) => {
    main.dataset['details'] = isOpen ? 'open' : 'closed'
    tell()
  }
  tell()
  toggle.addEventListener('click', () => show(!details.checkVisibility()))
  return () => show(true)
}

export function setUpTheme(): void {
  const root = document.documentElement
  byId('theme', HTMLButtonElement).addEventListener('click', () => {
    const isDark =
      (root.dataset['theme'] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark'
    root.dataset['theme'] = isDark ? 'light' : 'dark'
    localStorage.setItem('hearth-theme', root.dataset['theme'])
  })
}

export function showAdvice({ title, text }: Advice): void {
  const note = byId('advice', HTMLDivElement)
  const [heading, words, close] = note.children
  if (heading) heading.textContent = title
  if (words) words.textContent = text
  close?.addEventListener('click', () => (note.hidden = true), { once: true })
  note.hidden = false
}

/** Resolves with what was typed. A wrong key brings the question back. */
export async function askForKey(): Promise<string> {
  const dialog = byId('key-dialog', HTMLDialogElement)
  const input = byId('key', HTMLInputElement)
  input.value = ''
  const closed = new Promise((done) => dialog.addEventListener('close', done, { once: true }))
  dialog.showModal()
  await closed
  return input.value.trim()
}
