/** Encoders alone, on a sound that is the same each time. */
import { InferenceSession, Tensor } from 'onnxruntime-node'

const MELS = 80

/** What the encoder in `file` makes of so many frames: [positions, width]. */
export async function runEncoder(file: Uint8Array, frames: number): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { logSeverityLevel: 4 })
  try {
    const sound = Float32Array.from({ length: MELS * frames }, (_, n) => Math.sin(n * 0.37))
    const { last_hidden_state: states } = await session.run({
      input_features: new Tensor('float32', sound, [1, MELS, frames]),
    })
    return states?.data as Float32Array
  } finally {
    await session.release()
  }
}

/** The largest difference of two numbers at the same place. */
export const distance = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? NaN))), 0)
