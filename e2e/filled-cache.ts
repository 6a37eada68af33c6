/** A Hugging Face cache as it is after the real models were fetched, with the demo models' files under the real ids. */
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blobPath, COMMIT, linkFile, snapshotFolder, writeRef } from '@hearth/shared/hub-cache'
import { gitBlobSha1 } from '@hearth/shared/testing/hub-server'
import * as z from 'zod'
import type { ServiceName } from '../scripts/stack.ts'
import { ROOT } from './until-true.ts'

const Spec = z.object({
  id: z.string(),
  revision: z.string(),
  files: z.array(z.string()),
  weights: z.object({ fp32: z.array(z.string()) }).optional(),
  demo: z.string(),
})

/** What a branch stands for here. */
const A_COMMIT = 'c0ffee'.repeat(6) + 'c0ff'
/** Files that the demo models have under other names, or that are optional. */
const OTHER_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  turn: { 'smart-turn-v3.2-cpu.onnx': 'onnx/model.onnx' },
  chat: { 'onnx/model_q4.onnx': 'onnx/model.onnx' },
  kokoro: { 'voices/af_heart.bin': 'voices/af_demo.bin', 'voices/am_adam.bin': 'voices/am_demo.bin' },
}

export type RealModel = {
  readonly id: string
  readonly revision: string
  /** The demo file that stands for each of the real model's files. */
  readonly files: ReadonlyMap<string, string>
}

/** The model that a service asks for unless it is told otherwise. */
export const realModel = (service: ServiceName): Promise<RealModel> => readModel(`services/${service}/src/model.json`)

/** The one with which the orchestrator hears that a turn is over. */
export const realTurnModel = (): Promise<RealModel> => readModel('packages/hearing/src/turn-end-model.json')

async function readModel(specPath: string): Promise<RealModel> {
  const path = join(ROOT, specPath)
  const { id, revision, files, weights, demo } = Spec.parse(JSON.parse(await readFile(path, 'utf8')))
  const others = OTHER_NAMES[demo] ?? {}
  const names = new Set([...files, ...(weights?.fp32 ?? []), ...Object.keys(others)])
  const entries = [...names].map((name) => [name, join(ROOT, 'models/demo', demo, others[name] ?? name)] as const)
  return { id, revision, files: new Map(entries) }
}

export const commitOf = ({ revision }: RealModel): string => (COMMIT.test(revision) ? revision : A_COMMIT)
export const snapshotOf = (cacheDir: string, model: RealModel): string =>
  snapshotFolder(cacheDir, model.id, commitOf(model))

/** Puts a model into the cache in `cacheDir` (`hub` under HF_HOME). */
export async function fillCache(cacheDir: string, model: RealModel): Promise<void> {
  const { id, revision, files } = model
  const commit = commitOf(model)
  for (const [name, source] of files) {
    const etag = gitBlobSha1(await readFile(source))
    const blob = blobPath(cacheDir, id, etag)
    await mkdir(dirname(blob), { recursive: true })
    await copyFile(source, blob)
    await linkFile(cacheDir, id, name, { commit, etag, isWeak: false, size: null })
  }
  await writeRef(cacheDir, id, revision, commit)
}
