/** Triangular filters on Slaney's mel scale with Slaney's normalisation (as librosa makes them), kept without their zeros. */

type Shape = { readonly mels: number; readonly bins: number; readonly sampleRateHz: number }

/** The part of a power spectrum [bins] that filter `mel` lets through. */
export type MelFilters = (mel: number, power: Float64Array) => number

const HZ_PER_MEL = 200 / 3
/** Linear up to here, then 27 mels for a factor of 6.4. */
const LOG_FROM_HZ = 1000
const LOG_FROM_MEL = LOG_FROM_HZ / HZ_PER_MEL
const LOG_STEP = Math.log(6.4) / 27

const toMel = (hz: number): number =>
  hz < LOG_FROM_HZ ? hz / HZ_PER_MEL : LOG_FROM_MEL + Math.log(hz / LOG_FROM_HZ) / LOG_STEP
const toHz = (mel: number): number =>
  mel < LOG_FROM_MEL ? mel * HZ_PER_MEL : LOG_FROM_HZ * Math.exp(LOG_STEP * (mel - LOG_FROM_MEL))

/** Filters from 0 Hz to half the sample rate. */
export function melFilters({ mels, bins, sampleRateHz }: Shape): MelFilters {
  const topMel = toMel(sampleRateHz / 2)
  const corners = Array.from({ length: mels + 2 }, (_, at) => toHz((topMel * at) / (mels + 1)))
  const hzPerBin = sampleRateHz / 2 / (bins - 1)
  const filters = Array.from({ length: mels }, (_, mel) => triangle(corners.slice(mel, mel + 3), bins, hzPerBin))
  return (mel, power) => {
    const filter = filters[mel]
    if (filter === undefined) return 0
    const { from, weights } = filter
    let sum = 0
    for (let at = 0; at < weights.length; at++) sum += (weights[at] ?? 0) * (power[from + at] ?? 0)
    return sum
  }
}

/** The weights that are not zero, and the bin of the first. The triangle's area is 1 whatever its width. */
function triangle([low = 0, peak = 0, high = 0]: readonly number[], bins: number, hzPerBin: number) {
  const weights = Array.from({ length: bins }, (_, bin) => {
    const hz = bin * hzPerBin
    const height = Math.min((hz - low) / (peak - low), (high - hz) / (high - peak))
    return (Math.max(0, height) * 2) / (high - low)
  })
  const from = Math.max(0, weights.findIndex(Boolean))
  const until = weights.findLastIndex(Boolean) + 1
  return { from, weights: Float64Array.from(weights.slice(from, until)) }
}
