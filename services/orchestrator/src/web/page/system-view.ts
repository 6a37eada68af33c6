/** How the system is: its models, its queue, whether it understands itself, and what the doctor finds. */
import type { Finding, ModelStatus } from '@hearth/shared/api'
import { stateInWords } from '@hearth/shared/model-status'
import { byId, make } from './dom.ts'
import { queueDepth } from './queue-depth.ts'
import type { SelfTest } from './self-test.ts'
import { duration } from './waterfall.ts'

const COMING = new Set<ModelStatus['state']>(['idle', 'fetching', 'loading', 'warming'])

export function showModels(models: readonly ModelStatus[]): void {
  byId('models', HTMLUListElement).replaceChildren(...models.map(modelItem))
}

function modelItem(model: ModelStatus): HTMLLIElement {
  const { id, state, source, progress, loadMs, secondInferenceMs, warning, error } = model
  const words = stateWords(model)
  const item = make('li', {}, make('span', {}, id), make('span', { class: `state ${state}` }, words))
  if (COMING.has(state) && !isAsleep(model)) {
    item.append(make('progress', { max: '100', value: progress?.percent?.toString(), 'aria-label': `${id}: ${words}` }))
  }
  const facts = [
    source === null
      ? ''
      : { demo: 'demo stand-in', hub: 'from the hub', cache: 'from the cache', local: 'local folder' }[source],
    loadMs === null ? '' : `loaded in ${duration(loadMs)}`,
    secondInferenceMs === null ? '' : `warm in ${duration(secondInferenceMs)}`,
  ]
  item.append(make('span', { class: 'soft' }, facts.filter(Boolean).join(' · ')))
  const trouble = error ?? warning
  if (trouble !== null) item.append(make('span', { class: 'soft trouble', title: trouble }, trouble))
  return item
}

/** Nobody has asked for it yet. */
const isAsleep = ({ state, preload }: ModelStatus): boolean => state === 'idle' && preload === 'lazy'

function stateWords(model: ModelStatus): string {
  const { percent = null, remainingMs = null } = model.progress ?? {}
  const facts = [
    isAsleep(model) ? 'loads when it is needed' : stateInWords(model),
    percent === null ? '' : `${percent} %`,
    remainingMs === null ? '' : `${Math.ceil(remainingMs / 1000)} s left`,
  ]
  return facts.filter(Boolean).join(', ')
}

export function showQueue(metrics: string): void {
  const depth = queueDepth(metrics)
  const words = depth
    ? `Queue: ${depth.waiting} waiting, ${depth.active} running, ${depth.failed} failed`
    : 'Queue: none, there is no Redis'
  byId('queue', HTMLParagraphElement).textContent = words
}

export function showSelfTest({
  said,
  heard,
  wordErrorRate,
  firstByteMs,
  speechMs,
  hearingMs,
  soundSeconds,
}: SelfTest): void {
  const facts = (title: string, value: string) => make('div', {}, make('dt', {}, title), make('dd', {}, value))
  byId('self-test-result', HTMLDivElement).replaceChildren(
    make('p', {}, 'Said ', make('q', {}, said), ', heard ', make('q', {}, heard)),
    make(
      'dl',
      { class: 'figures' },
      facts('Word errors', `${Math.round(wordErrorRate * 100)} %`),
      facts('First byte', duration(firstByteMs)),
      facts('Voice', duration(speechMs)),
      facts('Ear', duration(hearingMs)),
      facts('Whole', duration(speechMs + hearingMs)),
      facts('Sound', duration(soundSeconds * 1000)),
    ),
  )
}

const MARKS = { ok: '✓', warning: '!', failed: '✕', skipped: '–' } as const

/** What needs somebody first; what is well can be opened. */
export function showFindings(findings: readonly Finding[]): void {
  const isTrouble = ({ status }: Finding) => status === 'warning' || status === 'failed'
  const [trouble, fine] = [findings.filter(isTrouble), findings.filter((one) => !isTrouble(one))]
  const summary = make('summary', {}, `${fine.length} checks found nothing to do`)
  byId('findings', HTMLDivElement).replaceChildren(
    make('ul', {}, ...trouble.map(findingItem)),
    make('details', {}, summary, make('ul', {}, ...fine.map(findingItem))),
  )
}

const findingItem = ({ service, check, status, detail, remedy }: Finding): HTMLLIElement =>
  make(
    'li',
    { class: status },
    make('span', { class: 'mark', role: 'img', 'aria-label': status }, MARKS[status]),
    make('span', {}, `${service}, ${check}`),
    make('span', { class: 'soft' }, detail),
    ...(remedy === null ? [] : [make('span', { class: 'remedy' }, remedy)]),
  )
