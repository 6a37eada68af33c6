/**
 * Which models a service may hold: the one of its settings, those of the list (`STT_MODELS`), and the demo. Names that come with requests are
 * only ever looked up here, so no caller can make a service read a path or ask a host.
 */
import * as z from 'zod'
import { AppError } from './errors.ts'

export type ModelChoice = {
  /** As the hub names it; `demo/<name>` for the demo model. */
  readonly id: string
  /** A branch, a tag, or a commit. */
  readonly revision: string
  readonly isDemo: boolean
  /** Whether a request that names it may bring it: the operator has said that models take turns here. */
  readonly mayTakeTurns: boolean
}

const MOST_ID_CHARS = 96
const PART = '[\\w][\\w.-]*'
const ID = new RegExp(`^${PART}(?:/${PART})?$`)
const REVISION = new RegExp(`^${PART}(?:/${PART})*$`)

/** `org/name` or `org/name@revision`, as a setting. */
export const ModelReference = z
  .string()
  .refine((text) => isReference(text), 'expected ids of models at the hub: org/name or org/name@revision')

function isReference(text: string): boolean {
  const { id, revision } = split(text)
  return id.length <= MOST_ID_CHARS && ID.test(id) && REVISION.test(revision) && !/--|\.\./.test(text)
}

function split(text: string): { id: string; revision: string } {
  const at = text.indexOf('@')
  return at < 0 ? { id: text, revision: 'main' } : { id: text.slice(0, at), revision: text.slice(at + 1) }
}

export class ModelChoices {
  readonly configured: ModelChoice
  readonly all: readonly ModelChoice[]

  /** `demo`: the demo's folder name. `listed`: references, as checked by `ModelReference`. */
  constructor(own: { id: string; revision: string; demo: string }, listed: readonly string[] = []) {
    const { id, revision, demo } = own
    this.configured = { id, revision, isDemo: false, mayTakeTurns: true }
    const demoId = `demo/${demo}`
    const others = listed.map(split).filter((one) => one.id !== id || one.revision !== revision)
    this.all = [
      this.configured,
      ...others
        .filter((one) => one.id !== demoId)
        .map((one): ModelChoice => ({ ...one, isDemo: false, mayTakeTurns: true })),
      { id: demoId, revision: '', isDemo: true, mayTakeTurns: others.some((one) => one.id === demoId) },
    ]
  }

  /** By `id` (the first of that name) or by `id@revision`. */
  find(name: string): ModelChoice | undefined {
    return this.all.find((choice) => choice.id === name || keyOf(choice) === name)
  }
}

export const keyOf = ({ id, revision }: Pick<ModelChoice, 'id' | 'revision'>): string => `${id}@${revision}`

/** `model_not_found`, in OpenAI's words; a name that is none is not repeated. */
export function unknownModel(name: string): AppError {
  const shown = /^[\w./:@-]{1,200}$/.test(name) ? `\`${name}\`` : 'of that name'
  return new AppError('model_not_found', `The model ${shown} does not exist`, { param: 'model' })
}
