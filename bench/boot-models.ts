/** Folders of the three models in their real shapes with random weights, made when missing; what they cost is what the real ones cost. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomWhisper } from '@hearth/models/random-whisper'
import { ROOT } from '../e2e/stack.ts'
import { writeMiniLm } from './minilm-shape.ts'

const FOLDER = join(import.meta.dirname, 'results/random-models')
/** Tokens of every transcript: random weights would go on to the limit. */
const TOKENS = 20

export type ModelFolders = { readonly stt: string; readonly tts: string; readonly embeddings: string }

/** `kokoro` is a folder that models/train/kokoro_shapes.py has made; without one, speech is the demo model. */
export async function modelFolders(kokoro: string | undefined): Promise<ModelFolders> {
  const embeddings = join(FOLDER, 'minilm')
  if (!existsSync(join(embeddings, 'onnx/model.onnx'))) await writeMiniLm(embeddings, join(ROOT, 'models/demo/minilm'))
  return { stt: await briefWhisper(), tts: kokoro ?? join(ROOT, 'models/demo/kokoro'), embeddings }
}

/** Whisper base whose windows end after so many tokens. */
async function briefWhisper(): Promise<string> {
  const whole = await randomWhisper(FOLDER, 'base', false)
  const dir = join(FOLDER, 'whisper-base-brief')
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  await symlink(join(whole, 'onnx'), join(dir, 'onnx'))
  for (const file of ['generation_config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'])
    await symlink(join(whole, file), join(dir, file))
  const config: object = JSON.parse(await readFile(join(whole, 'config.json'), 'utf8'))
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...config, max_target_positions: 2 * TOKENS }))
  return dir
}
