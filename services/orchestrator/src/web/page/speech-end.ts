/**
 * When somebody really stopped speaking. The server's word for it comes after a silence that it had to hear first; the honest wait begins where
 * the sound that was sent became quiet.
 */

/** Quieter than that share of the loudest (20 dB below it) is no speech. */
const QUIET_SHARE = 0.1
/** An utterance is not longer; older levels are forgotten. */
const MEMORY_MS = 30_000

export class SpeechEnd {
  /** By the place in all sound that was sent. */
  #levels: { readonly endMs: number; readonly level: number }[] = []

  heard(endMs: number, level: number): void {
    this.#levels.push({ endMs, level })
    if ((this.#levels[0]?.endMs ?? 0) < endMs - 2 * MEMORY_MS)
      this.#levels = this.#levels.filter((one) => one.endMs > endMs - MEMORY_MS)
  }

  /** Of the utterance that lies between; its own end when nothing of it is known. */
  of(startMs: number, endMs: number): number {
    const levels = this.#levels.filter((one) => one.endMs > startMs && one.endMs <= endMs)
    const loudest = Math.max(...levels.map(({ level }) => level))
    return levels.findLast(({ level }) => level >= loudest * QUIET_SHARE)?.endMs ?? endMs
  }

  clear(): void {
    this.#levels = []
  }
}
