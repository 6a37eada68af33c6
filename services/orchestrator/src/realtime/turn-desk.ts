/** The turns of one conversation: the one that was ordered, and the one that was begun on trust before anybody asked for it. */
import { isDeepStrictEqual } from 'node:util'
import type { Heard } from '../stages/stt.ts'
import type { Order, SessionState } from './session-state.ts'
import type { Hearings } from './turn-order.ts'
import { TurnRun } from './turn-run.ts'
import type { TurnPlace, TurnRunOptions } from './turn-run.ts'

/** A turn that nobody has ordered yet, and what it was begun for. */
type Guess = {
  readonly itemId: string
  readonly run: TurnRun
  readonly heard: Promise<Heard>
  readonly stopHearing: AbortController
  readonly before: SessionState
  /** Its words became an item's. */
  isHeard: boolean
}

export class TurnDesk {
  readonly #place: TurnPlace
  readonly #options: TurnRunOptions
  #turn: TurnRun | null = null
  #guess: Guess | null = null

  constructor(place: TurnPlace, options: TurnRunOptions) {
    this.#place = place
    this.#options = options
  }

  /** Resolves once nothing of the ordered turn runs any more. */
  get ended(): Promise<void> {
    return this.#turn?.ended ?? Promise.resolve()
  }

  /** Begins to answer what `hear` hears, for the item that it will be. */
  guess(itemId: string, before: SessionState, hear: (signal: AbortSignal) => Promise<Heard>): void {
    this.forgetGuess()
    const stopHearing = new AbortController()
    const heard = hear(AbortSignal.any([this.#place.signal, stopHearing.signal]))
    heard.catch(() => {})
    const { config, items } = before
    const order = { responseId: '', config: config.reply, items, soundOf: itemId, recite: null, isApart: false }
    const run = this.#begin(order, before, new Map([[itemId, heard]]))
    this.#guess = { itemId, run, heard, stopHearing, before, isHeard: false }
  }

  /** What the guess hears, now as the words of the item. */
  takeHearing(itemId: string): Promise<Heard> | undefined {
    if (this.#guess?.itemId !== itemId) return undefined
    this.#guess.isHeard = true
    return this.#guess.heard
  }

  forgetGuess(): void {
    const guess = this.#guess
    this.#guess = null
    guess?.run.stop()
    if (guess?.isHeard === false) guess.stopHearing.abort(new DOMException('the speaker goes on', 'AbortError'))
  }

  /** Takes what was begun on trust when it answers just this. */
  respond(order: Order, state: SessionState, hearings: Hearings): void {
    const guess = this.#guess
    const isRight = guess !== null && isAnswer(guess, order, state)
    if (!isRight) this.forgetGuess()
    this.#guess = null
    this.#turn = isRight ? guess.run : this.#begin(order, state, new Map(hearings))
    this.#turn.release(order.responseId)
  }

  stop(): void {
    this.#turn?.stop()
  }

  #begin(order: Order, { config }: SessionState, hearings: Hearings): TurnRun {
    const language = config.transcription?.language ?? undefined
    return new TurnRun(order, hearings, { ...this.#place, language }, this.#options)
  }
}

/** Nothing has changed since, but that the item is there. */
const isAnswer = ({ itemId, before }: Guess, order: Order, { config }: SessionState): boolean =>
  itemId === order.soundOf &&
  !order.isApart &&
  before.config === config &&
  isDeepStrictEqual(order.config, config.reply) &&
  order.items.length === before.items.length + 1 &&
  before.items.every((item, at) => item === order.items[at])
