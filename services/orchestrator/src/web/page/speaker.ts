/** What plays the reply: without gaps between its pieces, and stopped within a few milliseconds. */
export interface Speaker {
  /** `samples` at the wire's rate. */
  play(itemId: string, samples: Float32Array<ArrayBuffer>): void
  /** Gives what was being heard and for how long it had been; null when nothing was. */
  stop(): { readonly itemId: string; readonly ms: number } | null
}

/** Hears when sound begins, and when there is none left. */
export type OnPlaying = (isPlaying: boolean) => void
