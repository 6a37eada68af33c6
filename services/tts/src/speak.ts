/**
 * A text's fragments spoken one after the other, one ahead of the reader: while fragment n is sent, n+1 is made. What
 * comes out are PCM bytes that join without a click.
 */
import { AppError } from '@hearth/shared/errors'
import { pcm16 } from '@hearth/shared/audio'
import type { BatchResult } from '@hearth/shared/batcher'
import type { Speech, SpeechInput } from './speech.ts'
import { checkWaveform, pauseMs, shapeFragment } from './waveform.ts'

export type Spoken = BatchResult<Speech> & { readonly model: string }
export type Submit = (input: SpeechInput, signal: AbortSignal) => Promise<Spoken>

export type SpokenFragment = {
  /** s16le mono at `sampleRateHz`, with the pause that follows. Empty when the fragment has no sound. */
  readonly bytes: Uint8Array
  readonly sampleRateHz: number
  /** Phonemes that were said. */
  readonly tokens: number
  readonly queueMs: number
  readonly inferenceMs: number
  readonly batchSize: number
  readonly model: string
}

/** Speaks `fragments` in order; `signal`, or a reader that leaves, stops the one in the making. Throws what `submit` throws. */
export async function* speak(
  fragments: readonly string[],
  how: Omit<SpeechInput, 'text'>,
  submit: Submit,
  signal: AbortSignal,
): AsyncGenerator<SpokenFragment, void, void> {
  const left = new AbortController()
  const either = AbortSignal.any([signal, left.signal])
  const start = (index: number): Promise<Spoken> | undefined => {
    const text = fragments[index]
    const spoken = text === undefined ? undefined : submit({ text, ...how }, either)
    spoken?.catch(() => {}) // awaited below, or nobody waits for it any more
    return spoken
  }
  try {
    let next = start(0)
    for (const [index, text] of fragments.entries()) {
      const spoken = await next
      if (spoken === undefined) return
      next = start(index + 1)
      yield asBytes(spoken, index + 1 < fragments.length ? pauseMs(text, how.speed) : null)
    }
  } finally {
    left.abort(new AppError('cancelled', 'nobody listens any more'))
  }
}

function asBytes({ output, ...timings }: Spoken, pause: number | null): SpokenFragment {
  const { samples, sampleRateHz, tokens } = output
  if (tokens === 0) return { ...timings, sampleRateHz, tokens, bytes: new Uint8Array(0) }
  checkWaveform(samples)
  return { ...timings, sampleRateHz, tokens, bytes: pcm16(shapeFragment(samples, { sampleRateHz, pauseMs: pause })) }
}
