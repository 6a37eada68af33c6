/** The turn detector: whole sentences against the same sentences cut in their middle. */
import { join } from 'node:path'
import * as hf from '@huggingface/transformers'
import * as ort from 'onnxruntime-node'
import { mean, type Sample } from './speech.ts'

/** smart-turn v3 looks at the last 8 s, right-aligned with zeros in front, at zero mean and unit variance. */
const WINDOW_SAMPLES = 128_000

function window(clip: Float32Array): Float32Array {
  const last = clip.slice(-WINDOW_SAMPLES)
  const average = mean([...last])
  const scale = 1 / Math.sqrt(mean([...last].map((sample) => (sample - average) ** 2)) + 1e-7)
  const framed = new Float32Array(WINDOW_SAMPLES)
  framed.set(
    last.map((sample) => (sample - average) * scale),
    WINDOW_SAMPLES - last.length,
  )
  return framed
}

/** A detector is asked after a pause: 0.3 s of silence follows. */
function withSilence(clip: Float32Array): Float32Array {
  const longer = new Float32Array(clip.length + 4800)
  longer.set(clip)
  return longer
}

export async function checkTurn(folder: string, samples: readonly Sample[]) {
  const session = await ort.InferenceSession.create(join(folder, 'turn/onnx/model.onnx'), { logSeverityLevel: 3 })
  const extractor = await hf.AutoFeatureExtractor.from_pretrained('turn')
  const complete = async (clip: Float32Array): Promise<number> => {
    const { input_features } = (await extractor(window(clip))) as { input_features: { data: Float32Array } }
    const output = await session.run({ input_features: new ort.Tensor('float32', input_features.data, [1, 80, 800]) })
    return Number(Object.values(output)[0]?.data[0])
  }
  const whole: number[] = []
  const cut: number[] = []
  for (const sample of samples) {
    if (sample.kind === 'sentence') whole.push(await complete(withSilence(sample.samples)))
    const cutAt = Math.round((sample.cutSeconds ?? 0) * 16_000)
    if (cutAt > 0) cut.push(await complete(withSilence(sample.samples.slice(0, cutAt))))
  }
  console.log(
    `\nturn: whole sentences judged complete ${whole.filter((p) => p > 0.5).length} of ${whole.length}, ` +
      `cut ones judged unfinished ${cut.filter((p) => p <= 0.5).length} of ${cut.length}`,
  )
}
