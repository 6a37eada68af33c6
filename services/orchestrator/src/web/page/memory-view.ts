/** What was remembered and used, and all that is kept: each can be corrected and forgotten. */
import type { RecalledMemory } from '@hearth/shared/api'
import { byId, make, smallButton } from './dom.ts'
import type { KeptMemory, Server } from './server.ts'
import { wordsOf } from './server.ts'

export type MemoryView = {
  /** Of the turn that is shown. */
  readonly used: (memories: readonly RecalledMemory[]) => void
  /** Reads what is kept, from the beginning. */
  readonly refresh: () => Promise<void>
}

export function memoryView(server: Server, user: () => string, onTrouble: (words: string) => void): MemoryView {
  const kept = byId('kept', HTMLUListElement)
  const used = byId('used', HTMLUListElement)
  const more = byId('more-memories', HTMLButtonElement)
  let next: string | null = null
  more.addEventListener('click', () => void read())

  const itemOf = (id: string, text: string, facts: string): HTMLLIElement => {
    const words = make('span', {}, text)
    const tools = make('div', { class: 'tools' })
    const item = make('li', {}, words, make('div', { class: 'soft' }, facts), tools)
    tools.append(
      smallButton('Edit', () => edit(item, words, id), { 'aria-label': `Edit: ${text}` }),
      smallButton('Forget', () => void forget(item, id), { 'aria-label': `Forget: ${text}` }),
    )
    return item
  }

  function edit(item: HTMLLIElement, words: HTMLElement, id: string): void {
    const input = make('input', { type: 'text', value: words.textContent, 'aria-label': 'Memory', maxlength: '500' })
    const end = () => input.replaceWith(words)
    input.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') end()
      if (key === 'Enter') void attempt(() => change(id, input.value)).then(() => item.querySelector('button')?.focus())
    })
    words.replaceWith(input)
    input.focus()
  }

  async function change(id: string, text: string): Promise<void> {
    await server.changeMemory(user(), id, text)
    used
      .querySelectorAll<HTMLElement>(`[data-id="${id}"]`)
      .forEach((item) => item.replaceWith(marked(itemOf(id, text, 'Changed'), id)))
    await refresh()
  }

  async function forget(item: HTMLLIElement, id: string): Promise<void> {
    await attempt(async () => {
      await server.forgetMemory(user(), id)
      document.querySelectorAll(`.memories [data-id="${id}"]`).forEach((same) => same.remove())
      item.remove()
      if (kept.childElementCount === 0) await refresh()
    })
  }

  async function attempt(work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => onTrouble(wordsOf(error)))
  }

  async function read(): Promise<void> {
    const page = await server.memories(user(), next ?? undefined)
    if (next === null) kept.replaceChildren()
    next = page.next
    more.hidden = next === null
    kept.append(...page.memories.map((memory) => marked(itemOf(memory.id, memory.text, factsOf(memory)), memory.id)))
    if (kept.childElementCount === 0) kept.append(make('li', { class: 'empty' }, 'Nothing yet.'))
  }

  async function refresh(): Promise<void> {
    next = null
    await attempt(read)
  }

  return {
    refresh,
    used: (memories) => {
      const items = memories.map((memory) => marked(itemOf(memory.id, memory.text, reasonOf(memory)), memory.id))
      used.replaceChildren(...(items.length > 0 ? items : [make('li', { class: 'empty' }, 'None.')]))
    },
  }
}

function marked(item: HTMLLIElement, id: string): HTMLLIElement {
  item.dataset['id'] = id
  return item
}

const factsOf = ({ saidAt, supersededBy }: KeptMemory): string =>
  [
    new Date(saidAt).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }),
    supersededBy === null ? '' : 'no longer so',
  ]
    .filter(Boolean)
    .join(' · ')

const percent = (share: number): string => `${Math.round(share * 100)} %`

const reasonOf = ({ similarity, recency, importance, linkedFrom }: RecalledMemory): string =>
  linkedFrom === undefined
    ? `near ${percent(similarity)} · recent ${percent(recency)} · important ${percent(importance)}`
    : 'belongs to another of them'
