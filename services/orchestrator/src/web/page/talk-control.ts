/** The button, the space bar and the mode: what the reader's hands do, told to the conversation. */
import { byId } from './dom.ts'
import type { Talk } from './talk.ts'

const EDITABLE = 'input, select, textarea, button, a, [role="tab"], dialog'

export function setUpTalkControl(talk: Talk, isHandsFree: () => boolean): void {
  const button = byId('talk', HTMLButtonElement)
  const press = () => (isHandsFree() ? talk.pause() : talk.press())
  const release = () => isHandsFree() || talk.release()
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    button.setPointerCapture(event.pointerId)
    press()
  })
  for (const end of ['pointerup', 'pointercancel'] as const) button.addEventListener(end, release)
  button.addEventListener('contextmenu', (event) => event.preventDefault())
  // A click without a pointer is a screen reader's or a switch's, which can't hold: it is a tap.
  button.addEventListener('click', (event) => {
    if ('pointerType' in event && event.pointerType !== '') return
    press()
    release()
  })
  const isTalkKey = (event: KeyboardEvent) => {
    const at = event.target instanceof Element ? event.target : document.body
    return event.code === 'Space' && (at === button || at.closest(EDITABLE) === null)
  }
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') talk.silence()
    if (!isTalkKey(event)) return
    event.preventDefault()
    if (!event.repeat) press()
  })
  document.addEventListener('keyup', (event) => {
    if (!isTalkKey(event)) return
    event.preventDefault()
    release()
  })
}
