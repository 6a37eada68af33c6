/** What a batch costs, for the batcher: which recordings are worth hearing together. */
import type { Abilities } from './abilities.ts'
import type { SpeechInput } from './speech.ts'

/** No batch may cost more than its rows do one by one. */
export const MAX_PADDING = 1

/**
 * In rows, or in samples where rows of different lengths are heard one after the other all the same: then each would only wait for its
 * neighbours, and with `MAX_PADDING` none but equally long ones share a batch. `abilities`: of the model that hears them; null before its files
 * are there.
 */
export function batchCost(inputs: readonly SpeechInput[], abilities: Pick<Abilities, 'canMixLengths'> | null): number {
  if (abilities?.canMixLengths !== false) return inputs.length
  return inputs.length * Math.max(...inputs.map(({ samples }) => samples.length))
}
