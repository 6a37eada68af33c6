/** Which family of speech models a folder holds, by the `model_type` of its config.json: each is heard in its own way. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

const FAMILIES = ['whisper', 'moonshine'] as const
export type ModelFamily = (typeof FAMILIES)[number]

const ModelType = z.object({ model_type: z.string() })

/** Throws when the file is missing, or names a family that is not known here. */
export async function readFamily(dir: string): Promise<ModelFamily> {
  const { model_type: type } = ModelType.parse(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')))
  const family = FAMILIES.find((each) => each === type)
  if (family === undefined)
    throw new Error(`expected model_type ${FAMILIES.join(' or ')} in config.json, got ${type.slice(0, 40)}`)
  return family
}
