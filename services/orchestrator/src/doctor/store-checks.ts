/** Whether what people said can be kept: the data folder, or Chroma. */
import { join } from 'node:path'
import { type Check, failed, ok, placeOf, skipped, type Verdict, warning } from '@hearth/shared/doctor'
import { freeBytes, remedyFor, whyNotWritable } from '@hearth/shared/doctor-folder'
import { bytesInWords } from '@hearth/shared/in-words'
import * as z from 'zod'
import type { OrchestratorConfig } from '../config.ts'

type Config = Pick<OrchestratorConfig, 'hearth' | 'chroma' | 'jobs'>

/** Below it SQLite and the spool of waiting jobs begin to fail. */
const LEAST_FREE_BYTES = 500e6

export const storeChecks = (config: Config): readonly Check[] => [
  { name: 'data folder', run: () => checkHome(config) },
  { name: 'chroma', run: (signal) => checkChroma(config, signal) },
]

async function checkHome({ hearth: { home } }: Config): Promise<Verdict> {
  const folders = [home, join(home, 'memory')]
  const codes = await Promise.all(folders.map((folder) => whyNotWritable(folder)))
  const at = codes.findIndex((code) => code !== null)
  const [code, folder] = [codes[at], folders[at]]
  if (code != null && folder !== undefined)
    return failed(`${folder} can't be written (${code})`, remedyFor(code, folder, 'HEARTH_HOME'))
  const free = await freeBytes(home)
  const state = `${home} can be written, ${bytesInWords(free)} free`
  const lacks = bytesInWords(LEAST_FREE_BYTES - free)
  return free < LEAST_FREE_BYTES ? warning(state, `free ${lacks} on the disk of ${home}`) : ok(state)
}

async function checkChroma({ chroma: { url } }: Config, signal: AbortSignal): Promise<Verdict> {
  if (url === undefined) return skipped('no CHROMA_URL: memories are in a SQLite file')
  const place = placeOf(url)
  try {
    const answer = await fetch(`${url}/api/v2/version`, { redirect: 'error', signal })
    const version = z.string().parse(await answer.json())
    return ok(`Chroma ${version} at ${place}`)
  } catch {
    signal.throwIfAborted()
    const remedy =
      'start it (Chroma 1 or newer; docker compose up -d chroma), correct CHROMA_URL, or unset it: memories are in a SQLite file then'
    return failed(`Chroma does not answer at ${place}; turns go on without memory`, remedy)
  }
}
