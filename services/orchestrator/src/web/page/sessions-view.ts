/** The conversations that are kept: open one again, or have it forgotten. */
import { byId, make, smallButton } from './dom.ts'
import type { KeptSession, Server } from './server.ts'

export async function showSessions(
  server: Server,
  place: { readonly user: string; readonly session: string },
  onOpen: (session: string) => void,
): Promise<void> {
  const list = byId('sessions', HTMLUListElement)
  const item = ({ id, turns, lastUsedAt }: KeptSession): HTMLLIElement => {
    const words = make('span', {}, new Date(lastUsedAt).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }))
    const count = make('span', {}, `${turns} ${turns === 1 ? 'turn' : 'turns'}`)
    const open = smallButton('', () => onOpen(id), {
      class: 'quiet open',
      'aria-current': id === place.session ? 'true' : undefined,
    })
    open.append(words, count)
    const made = make('li', {}, open)
    made.append(smallButton('Forget', () => void server.forgetSession(place.user, id).then(() => made.remove())))
    return made
  }
  const kept = await server.sessions(place.user).catch(() => [])
  list.replaceChildren(...(kept.length > 0 ? kept.map(item) : [make('li', { class: 'empty' }, 'None is kept.')]))
}
