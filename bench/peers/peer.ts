/** What is measured: something that hears clips. */

export type Clip = { readonly seconds: number; readonly tokens: number }

export type Peer = {
  /** Milliseconds of processor time that it took to write `clip.tokens` tokens for `samples`, so many rows of it. */
  readonly run: (clip: Clip, samples: Float32Array<ArrayBuffer>, rows: number) => Promise<number>
  readonly close: () => Promise<void>
}
