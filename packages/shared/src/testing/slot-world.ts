/** A slot with engines that only count, a clock, a hub that may be away, and everybody who asks for something. What must never be is noted as a fault. */
import { AppError } from '../errors.ts'
import { type ModelChoice, ModelChoices } from '../model-choice.ts'
import { Model } from '../model.ts'
import { ModelSlot } from '../model-slot.ts'
import { CountedEngines } from './counted-engines.ts'
import { ManualClock, never, settle } from './signals.ts'

export const CHOICES = new ModelChoices({ id: 'org/first', revision: 'main', demo: 'tiny' }, ['org/second'])
/** What tells by an answer which model gave it. */
const PLUS: Readonly<Record<string, number>> = { 'org/first': 0, 'org/second': 1, 'demo/tiny': 2 }
/** Longer than any hold, back-off, stay or close. */
const LONG_MS = 700_000
const REFUSALS: readonly string[] = ['model_loading', 'model_failed', 'engine_failed', 'draining']

export type Step =
  | { readonly kind: 'load' | 'unload' | 'request' | 'lease'; readonly choice: ModelChoice }
  | { readonly kind: 'goOn' | 'fail' | 'crash' | 'release'; readonly which: number }
  | { readonly kind: 'pass' | 'keepAlive'; readonly ms: number }
  | { readonly kind: 'drain' | 'hubIsAway' | 'hubAnswers' }

export class SlotWorld {
  readonly faults: unknown[] = []
  readonly #clock = new ManualClock()
  readonly #engines = new CountedEngines(this.#clock.setTimer)
  readonly #slot = this.#createSlot()
  readonly #waiting = new Set<Promise<unknown>>()
  readonly #leases: { release: () => void }[] = []
  #isHubAway = false
  #isDraining = false

  constructor() {
    this.#slot.preload()
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'load':
      case 'unload':
        return this.#follow(this.#slot[step.kind](step.choice, never))
      case 'request':
        return this.#follow(this.#request(step.choice))
      case 'lease':
        return this.#follow(this.#slot.lease({ choice: step.choice }, never).then((one) => this.#leases.push(one)))
      case 'release':
        return this.#leases.splice(step.which % Math.max(1, this.#leases.length), 1)[0]?.release()
      case 'goOn':
      case 'fail':
      case 'crash':
        return this.#engines[step.kind](step.which)
      case 'pass':
        return this.#clock.advance(step.ms)
      case 'keepAlive':
        return this.#slot.keepAlive(step.ms)
      case 'drain':
        this.#isDraining = true
        return this.#slot.drain()
      case 'hubIsAway':
      case 'hubAnswers':
        this.#isHubAway = step.kind === 'hubIsAway'
    }
  }

  /** Of each model there is one copy at most. */
  look(): void {
    const { living } = this.#engines
    if (new Set(living).size < living.length) this.faults.push(`two copies: ${living.join(', ')}`)
  }

  /** Everything goes on by itself now: all who wait get an end, every copy has an owner, and a service that was not told to stop serves. */
  async comeToRest(): Promise<void> {
    this.#engines.free()
    this.#isHubAway = false
    for (const lease of this.#leases.splice(0)) lease.release()
    for (let round = 0; round < 4; round++) {
      await settle()
      this.look()
      this.#clock.advance(LONG_MS)
    }
    await settle()
    if (this.#waiting.size > 0) this.faults.push(`${this.#waiting.size} wait for ever`)
    const owned = this.#slot.loaded.map(({ status }) => status.id)
    for (const id of this.#engines.living) if (!owned.includes(id)) this.faults.push(`nobody owns ${id}`)
    if (!this.#isDraining) await Promise.all([this.#request(), settle()])
    this.look()
  }

  /** Nothing is left, no timer either. */
  async close(): Promise<void> {
    await this.#slot.close()
    const left = [...this.#engines.living, ...this.#clock.pending]
    if (left.length > 0) this.faults.push(`left after the end: ${left.join(', ')}`)
  }

  /** Two inputs under one lease, both answered by the model that was leased. */
  async #request(wanted?: ModelChoice): Promise<void> {
    const lease = await this.#slot.lease({ choice: wanted }, never)
    try {
      for (const input of [1, 2]) {
        const { output, model } = await lease.submit(input, never)
        const isWanted = !wanted?.mayTakeTurns || [wanted.id, 'demo/tiny'].includes(model)
        if (!isWanted || model !== lease.prepared || output !== 3 * input + (PLUS[model] ?? NaN))
          this.faults.push(`${model} answered ${output} for ${lease.prepared}, of ${wanted?.id}`)
      }
    } finally {
      lease.release()
    }
  }

  #follow(work: Promise<unknown>): void {
    const waited: Promise<unknown> = work
      .catch((error: unknown) => {
        if (!(error instanceof AppError && REFUSALS.includes(error.code))) this.faults.push(error)
      })
      .finally(() => this.#waiting.delete(waited))
    this.#waiting.add(waited)
  }

  async #fetch({ id, isDemo }: ModelChoice, isReplacement: boolean) {
    await this.#engines.step()
    if (isDemo) return { id, source: 'demo' as const }
    if (!this.#isHubAway) return { id, source: 'cache' as const }
    if (isReplacement) throw new AppError('model_failed', 'the hub is away')
    return { id: 'demo/tiny', source: 'demo' as const }
  }

  #createSlot(): ModelSlot<number, number, string> {
    const time = { now: this.#clock.now, setTimer: this.#clock.setTimer, coldHoldMs: 20_000 }
    return new ModelSlot<number, number, string>({
      ...time,
      choices: CHOICES,
      preload: 'background',
      pull: () => Promise.reject(new Error('not asked')),
      create: (choice, hooks, { preload, isReplacement }) =>
        new Model<number, number>({
          ...time,
          name: 'test',
          id: choice.id,
          preload,
          maxBatchSize: 2,
          fetch: async (_onProgress, signal) => {
            const found = await this.#fetch(choice, isReplacement)
            await hooks.alone(found, signal)
            return { ...found, dir: '', revision: 'c0ffee', warning: null }
          },
          prepare: async ({ id }) => hooks.onPrepared(id),
          onStatus: () => hooks.onStatus(),
          createThread: ({ id }) => this.#engines.create(id, PLUS[id] ?? NaN),
          log: { info: () => undefined, error: () => undefined },
        }),
    })
  }
}
