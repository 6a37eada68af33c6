/** The few words in which the page makes elements: texts are always set as texts, so nothing that was said becomes markup. */

type Attributes = Readonly<Record<string, string | boolean | undefined>>

/** An element with attributes (`true` without a value, `false` and undefined left out) and children. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  setAttributes(element, attributes)
  element.append(...children)
  return element
}

export function draw(name: string, attributes: Attributes, ...children: (Node | string)[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  setAttributes(element, attributes)
  element.append(...children)
  return element
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value)
}

/** What index.html has under that id. Throws when it hasn't, or as something else. */
export function byId<Kind extends HTMLElement>(id: string, kind: { new (): Kind; readonly name: string }): Kind {
  const found = document.getElementById(id)
  if (found instanceof kind) return found
  throw new Error(`index.html has no ${kind.name} #${id}; this is a bug`)
}

/** A small button with a listener. */
export function smallButton(label: string, onClick: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const button = make('button', { type: 'button', class: 'quiet', ...attributes }, label)
  button.addEventListener('click', onClick)
  return button
}

/** Sets the place of something on an axis, in shares of the whole. By script, as the page's policy knows no style attributes. */
export function place(element: HTMLElement, startShare: number, widthShare?: number): HTMLElement {
  element.style.left = `${startShare * 100}%`
  if (widthShare !== undefined) element.style.width = `${widthShare * 100}%`
  return element
}
