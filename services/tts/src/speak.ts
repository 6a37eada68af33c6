/**
 * A text's fragments spoken one after the other, one ahead of the reader: while fragment n is sent, n+1 is made. What comes out are PCM bytes
 * that join without a click. A pause leaves with the fragment behind it, so that nothing waits for a text that is still being written.
 */
import { AppError } from '@hearth/shared/errors'
import { concat, pcm16 } from '@hearth/shared/audio'
import type { BatchResult } from '@hearth/shared/batcher'
import { orAborted } from '@hearth/shared/waits'
import type { Fragment } from './fragments.ts'
import type { Speech, SpeechInput, TimedWord } from './speech.ts'
import { checkWaveform, pauseMs, silenceAfter, trimFragment } from './waveform.ts'

export type Spoken = BatchResult<Speech> & { readonly model: string }
export type Submit = (input: SpeechInput, signal: AbortSignal) => Promise<Spoken>

export type SpokenFragment = {
  /** s16le mono at `sampleRateHz`, with the pause before it. Empty when the fragment has no sound. */
  readonly bytes: Uint8Array
  readonly sampleRateHz: number
  /** From the start of the whole speech. */
  readonly words: readonly TimedWord[]
  readonly isEstimated: boolean
  /** Phonemes that were said. */
  readonly tokens: number
  readonly queueMs: number
  readonly inferenceMs: number
  readonly batchSize: number
  readonly model: string
}

type Made = { readonly fragment: Fragment; readonly spoken: Spoken | null }

/** Speaks `fragments` in order; `signal`, or a reader that leaves, stops the one in the making. Throws what `submit` and `fragments` throw. */
export async function* speak(
  fragments: Iterable<Fragment> | AsyncIterable<Fragment>,
  how: Omit<SpeechInput, 'text'>,
  submit: Submit,
  signal: AbortSignal,
): AsyncGenerator<SpokenFragment, void> {
  const left = new AbortController()
  const either = AbortSignal.any([signal, left.signal])
  const source = Symbol.asyncIterator in fragments ? fragments[Symbol.asyncIterator]() : fragments[Symbol.iterator]()
  const make = async (): Promise<Made | null> => {
    const { done, value: fragment } = await orAborted(Promise.resolve(source.next()), either)
    if (done === true) return null
    return { fragment, spoken: fragment.text === '' ? null : await submit({ text: fragment.text, ...how }, either) }
  }
  const begin = (): Promise<Made | null> => {
    const made = make()
    made.catch(() => {}) // awaited below, or nobody waits for it any more
    return made
  }
  try {
    const joined = new Joined(how.speed)
    let next = begin()
    for (let made = await next; made !== null; made = await next) {
      next = begin()
      const piece = joined.add(made)
      if (piece !== null) yield piece
    }
    const ending = joined.end()
    if (ending !== null) yield ending
  } finally {
    left.abort(new AppError('cancelled', 'nobody listens any more'))
    void source.return?.()
  }
}

/** What stands between a fragment and the next. */
class Joined {
  readonly #speed: number
  /** Samples so far. */
  #length = 0
  #before: { readonly text: string; readonly tail: Float32Array; readonly spoken: Spoken } | undefined

  constructor(speed: number) {
    this.#speed = speed
  }

  /** The fragment with the pause before it; null when there is nothing to be silent after. */
  add({ fragment, spoken }: Made): SpokenFragment | null {
    if (spoken === null) return this.#silence(fragment)
    const { samples, sampleRateHz, tokens } = spoken.output
    if (tokens === 0) return silent(spoken, new Float32Array(0))
    checkWaveform(samples)
    const { sound, tail, startsAt } = trimFragment(samples, sampleRateHz)
    const pause = this.#pause(fragment, sampleRateHz)
    this.#before = { text: fragment.text, tail, spoken }
    const shiftMs = ((this.#length + pause.length - startsAt) / sampleRateHz) * 1000
    this.#length += pause.length + sound.length
    return inBytes(spoken, concat([pause, sound]), shiftMs)
  }

  /** The last fragment's own ending. */
  end(): SpokenFragment | null {
    return this.#before === undefined ? null : silent(this.#before.spoken, this.#before.tail)
  }

  /** A pause at the end of the text. */
  #silence({ silenceMs }: Fragment): SpokenFragment | null {
    if (this.#before === undefined) return null
    const { spoken } = this.#before
    this.#before = undefined
    return silent(spoken, silenceAfter(silenceMs, spoken.output.sampleRateHz))
  }

  #pause({ silenceMs }: Fragment, sampleRateHz: number): Float32Array {
    if (silenceMs > 0) return silenceAfter(silenceMs, sampleRateHz)
    return this.#before === undefined
      ? new Float32Array(0)
      : silenceAfter(pauseMs(this.#before.text, this.#speed), sampleRateHz)
  }
}

const silent = (spoken: Spoken, samples: Float32Array): SpokenFragment => ({
  ...inBytes(spoken, samples, 0),
  tokens: 0,
  words: [],
})

function inBytes({ output, ...timings }: Spoken, samples: Float32Array, shiftMs: number): SpokenFragment {
  const { sampleRateHz, tokens, isEstimated } = output
  const shifted = (ms: number): number => Math.max(0, ms + shiftMs)
  const words = output.words.map(({ word, startMs, endMs }) => ({
    word,
    startMs: shifted(startMs),
    endMs: shifted(endMs),
  }))
  return { ...timings, sampleRateHz, tokens, words, isEstimated, bytes: pcm16(samples) }
}
