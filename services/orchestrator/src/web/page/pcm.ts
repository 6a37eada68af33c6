/** Sound on the wire is signed 16-bit little-endian mono as base64; inside the page it is samples in [-1, 1]. */

/** Rate of all sound on the wire. */
export const WIRE_RATE_HZ = 24_000

/** Arguments of one call of String.fromCharCode. */
const STEP = 8192

/** Samples as base64: rounded and clipped. */
export function encodePcm16(samples: Float32Array): string {
  const view = new DataView(new ArrayBuffer(samples.length * 2))
  for (const [at, sample] of samples.entries())
    view.setInt16(at * 2, Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768))), true)
  const bytes = new Uint8Array(view.buffer)
  let text = ''
  for (let from = 0; from < bytes.length; from += STEP)
    text += String.fromCharCode(...bytes.subarray(from, from + STEP))
  return btoa(text)
}

/** Half a sample at the end is dropped. Throws when the text is not base64. */
export function decodePcm16(base64: string): Float32Array<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  const view = new DataView(bytes.buffer)
  const samples = new Float32Array(bytes.length >> 1)
  for (let at = 0; at < samples.length; at++) samples[at] = view.getInt16(at * 2, true) / 32_768
  return samples
}

/** Root mean square, 0 to 1: how loud it is. */
export function loudness(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0)
  return samples.length === 0 ? 0 : Math.sqrt(power / samples.length)
}
