/** A download in one line of text: `[######--------------]  31 %   90 MB of 290 MB   12.3 MB/s   17 s left`. */
import type { DownloadProgress } from '@hearth/shared/api'
import { bytesInWords, durationInWords } from '@hearth/shared/in-words'

const CELLS = 24

/** What is not known yet is left out. */
export function progressBar({ percent, bytes, totalBytes, bytesPerSecond, secondsLeft }: DownloadProgress): string {
  const full = Math.floor(((percent ?? 0) * CELLS) / 100)
  const parts = [
    `[${'#'.repeat(full)}${'-'.repeat(CELLS - full)}]`,
    ...(percent === undefined ? [] : [`${percent} %`.padStart(5)]),
    `${bytesInWords(bytes)} of ${bytesInWords(totalBytes)}`,
    ...(bytesPerSecond === undefined ? [] : [`${bytesInWords(bytesPerSecond)}/s`]),
    ...(secondsLeft === undefined ? [] : [`${durationInWords(1000 * secondsLeft)} left`]),
  ]
  return parts.join('  ')
}
