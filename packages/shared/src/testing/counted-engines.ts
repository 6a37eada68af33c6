/** Engines that only count: how many live of each model. Every step of theirs waits until a test lets it go on, or makes it fail. */
import { AppError } from '../errors.ts'
import { type SetTimer, within } from '../waits.ts'
import type { StubThread } from './stub-thread.ts'

/** As long as the real thread may take: a load that nobody wants any more, then two limits. */
const LONGEST_CLOSE_MS = 19_000

type CountedEngine = { readonly id: string; readonly crash: (error: AppError) => void }
type Step = PromiseWithResolvers<void> & { readonly of: CountedEngine | undefined }

export class CountedEngines {
  readonly #setTimer: SetTimer
  #steps: Step[] = []
  #living: CountedEngine[] = []
  /** Steps go on by themselves. */
  isFree = false

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer
  }

  /** The ids of those that live, one for each copy. */
  get living(): readonly string[] {
    return this.#living.map(({ id }) => id)
  }

  /** Waits for the test's word; no longer than until the end of `of`, if it is an engine's. */
  async step(of?: CountedEngine): Promise<void> {
    if (this.isFree) return
    const step = { ...Promise.withResolvers<void>(), of }
    this.#steps.push(step)
    await step.promise
  }

  goOn(which: number): void {
    this.#take(which)?.resolve()
  }

  fail(which: number): void {
    this.#take(which)?.reject(new AppError('engine_failed', 'made to fail'))
  }

  crash(which: number): void {
    const engine = this.#living[which % Math.max(1, this.#living.length)]
    if (!engine) return
    const error = new AppError('engine_failed', 'made to crash', { details: { crashed: true } })
    this.#end(engine, error)
    engine.crash(error)
  }

  free(): void {
    this.isFree = true
    for (const step of this.#steps.splice(0)) step.resolve()
  }

  /** Answers `3 * input`, and `plus`. */
  create(id: string, plus: number): StubThread {
    const crashed = Promise.withResolvers<AppError>()
    const engine: CountedEngine = { id, crash: crashed.resolve }
    this.#living.push(engine)
    let closing: Promise<void> | undefined
    const warmMs = [2, 1]
    return {
      crashed: crashed.promise,
      load: () => this.step(engine).then(() => ({ maxBatchSize: 2, loadMs: 1 })),
      warm: () => this.step(engine).then(() => warmMs.shift() ?? null),
      run: (inputs) =>
        this.step(engine).then(() => ({ outputs: inputs.map((input) => 3 * input + plus), inferenceMs: 1 })),
      close: () => (closing ??= this.#close(engine)),
    }
  }

  async #close(engine: CountedEngine): Promise<void> {
    if (!this.#living.includes(engine)) return
    await within(
      LONGEST_CLOSE_MS,
      this.step().catch(() => undefined),
      this.#setTimer,
    )
    this.#end(engine)
  }

  #end(engine: CountedEngine, error = new AppError('draining', 'the engine was closed')): void {
    this.#living = this.#living.filter((one) => one !== engine)
    for (const { of, reject } of this.#steps) if (of === engine) reject(error)
    this.#steps = this.#steps.filter(({ of }) => of !== engine)
  }

  #take(which: number): PromiseWithResolvers<void> | undefined {
    return this.#steps.splice(which % Math.max(1, this.#steps.length), 1)[0]
  }
}
