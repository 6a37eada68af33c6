/**
 * What is looked at for each model that Hearth loads itself: its files, the volume they lie on, the hub when some are missing, the memory it
 * needs, and whether its last start was slow. The service does so about its own model, and the script when no service runs.
 */
import { join } from 'node:path'
import type { BootEntry, ModelStatus } from './api.ts'
import { bootCheck } from './boot-verdict.ts'
import { type Check, failed, ok, skipped, type Verdict, warning } from './doctor.ts'
import { freeBytes, remedyFor, whyNotWritable } from './doctor-folder.ts'
import { examineFiles, type FilesFound } from './doctor-files.ts'
import { askForMissing, type Missing } from './doctor-hub.ts'
import { bytesInWords } from './in-words.ts'
import { memoryCheck } from './doctor-memory.ts'
import { stateInWords } from './model-status.ts'
import type { ModelSpec, StoreOptions } from './model-store.ts'

export type ModelToExamine = {
  readonly service: string
  readonly spec: ModelSpec
  readonly store: StoreOptions
  readonly boots: () => Promise<readonly BootEntry[]>
  /** Where the model runs; null when no service does. */
  readonly status: () => ModelStatus | null
  /** False while another model does its work, or it came with Hearth. */
  readonly isNeeded?: () => Promise<boolean> | boolean
}

/** The checks of one model, for one examination: what several of them need is found out once. */
export function modelChecks(model: ModelToExamine): readonly Check[] {
  const { spec, store, status, boots, isNeeded = () => true } = model
  const examined: { files?: Promise<FilesFound>; missing?: Promise<Missing>; needed?: Promise<boolean> } = {}
  const files = (signal: AbortSignal) => (examined.files ??= examineFiles(spec, store, signal))
  const missing = (found: FilesFound, signal: AbortSignal) =>
    (examined.missing ??= askForMissing(spec, store, found.state === 'damaged' ? found.files : [], signal))
  const needed = () => (examined.needed ??= Promise.resolve(isNeeded()))
  const whenNeeded = (name: string, run: (signal: AbortSignal) => Promise<Verdict>): Check => ({
    name,
    run: async (signal) => ((await needed()) ? run(signal) : skipped('not needed by the model that answers')),
  })
  const running = status()
  return [
    ...(running ? [{ name: 'model', run: () => judgeModel(model, running) }] : []),
    whenNeeded('model files', async (signal) => judgeFiles(model, await files(signal))),
    whenNeeded('model volume', async (signal) => judgeVolume(store, await files(signal))),
    whenNeeded('model hub', async (signal) => {
      const found = await files(signal)
      if (found.state === 'complete') return skipped('not needed: all files are here')
      return store.offline ? skipped('HF_HUB_OFFLINE is set') : judgeHub(store, found, await missing(found, signal))
    }),
    whenNeeded('disk space', async (signal) => {
      const found = await files(signal)
      const need = found.state === 'complete' || store.offline ? 0 : ((await missing(found, signal)).bytes ?? null)
      return judgeSpace(store, need)
    }),
    whenNeeded('memory', async (signal) => memoryCheck(status(), await files(signal), await boots())),
    bootCheck(boots),
  ]
}

/** Of a model without which all goes on: whatever is amiss is no failure. Where it lies is looked at with the others. */
export function optionalModelChecks(model: OptionalModel): readonly Check[] {
  const { service, spec, store } = model
  const running = model.status()
  return [
    ...(running ? [{ name: `${service} model`, run: () => atWorstWarning(judgeModel(model, running)) }] : []),
    {
      name: `${service} model files`,
      run: async (signal) => atWorstWarning(judgeFiles(model, await examineFiles(spec, store, signal))),
    },
  ]
}

type OptionalModel = Pick<ModelToExamine, 'service' | 'spec' | 'store' | 'status'>

const atWorstWarning = (verdict: Verdict): Verdict => ({
  ...verdict,
  status: verdict.status === 'failed' ? 'warning' : verdict.status,
})

function judgeModel({ service, spec }: OptionalModel, running: ModelStatus): Verdict {
  const { id, source, state, error, progress } = running
  if (state === 'failed')
    return failed(`${id}: ${error ?? 'failed'}; it is tried again`, 'look at the lines below, and into the log')
  if (state === 'idle') return skipped(`${id} is not loaded; it is once it is asked for`)
  if (source === 'demo' && id !== spec.id)
    return warning(`${id}, a small stand-in, answers instead of ${spec.id}`, `${pullOf(service)}, then start again`)
  const percent = progress?.percent == null ? '' : `, ${progress.percent} %`
  return ok(`${id} is ${state === 'ready' ? 'ready' : `on its way: ${stateInWords(running)}${percent}`}`)
}

/** Where there is a shell; a container fetches what is missing when it starts. */
const pullOf = (service: string): string => `npm run models pull ${service} (in containers: restart the service)`

function judgeFiles({ service, spec, store }: OptionalModel, found: FilesFound): Verdict {
  const pull = pullOf(service)
  if (found.state === 'complete') return ok(`${spec.id}: ${bytesInWords(found.bytes)}, complete and undamaged`)
  if (found.state === 'damaged') return failed(`${spec.id}: ${listOf(found.files)} damaged, not what the hub has`, pull)
  const isAll = found.files.length === spec.files.length
  const lacks = isAll ? `${spec.id} is not here` : `${spec.id}: ${listOf(found.files)} not here`
  if (store.localDir !== undefined)
    return failed(
      lacks,
      `put the model's files into ${store.localDir}, or name another folder (${service.toUpperCase()}_MODEL_DIR)`,
    )
  if (store.offline) return warning(`${lacks}, and HF_HUB_OFFLINE is set`, `unset HF_HUB_OFFLINE, then ${pull}`)
  return warning(`${lacks}; the next start downloads it`, pull)
}

const MOST_NAMED = 3

function listOf(files: readonly string[]): string {
  const more = files.length - MOST_NAMED
  const names = files.slice(0, MOST_NAMED).join(', ')
  return `${names}${more > 0 ? ` and ${more} more` : ''} ${files.length === 1 ? 'is' : 'are'}`
}

async function judgeVolume({ cacheDir, localDir }: StoreOptions, found: FilesFound): Promise<Verdict> {
  if (localDir !== undefined) return skipped('the model is in a folder of its own, which is only read')
  const code = await whyNotWritable(cacheDir)
  if (code === null) return ok(`${cacheDir} can be written`)
  if (found.state === 'complete') return ok(`${cacheDir} is read-only (${code}), and nothing has to be written`)
  return failed(`${cacheDir} can't be written (${code}), and files are missing`, remedyFor(code, cacheDir, 'HF_HOME'))
}

function judgeHub(
  { endpoint, cacheDir, demoDir }: StoreOptions,
  { state }: FilesFound,
  { reason, isReached }: Missing,
): Verdict {
  const { host } = new URL(endpoint)
  if (reason === null) return ok(`${host} answers`)
  if (isReached) return failed(`${host} answers, but ${reason}`, 'correct the model, its revision, or HF_TOKEN')
  const remedy = `check this machine's way to ${host}, name a mirror with HF_ENDPOINT, or copy a filled cache to`
  const meanwhile = state === 'missing' && demoDir !== undefined ? '; until it is, a small demo model stands in' : ''
  return failed(`${host} can't be reached (${reason})${meanwhile}`, `${remedy} ${join(cacheDir, '..')}`)
}

/** For unpacking, logs and what other programs write meanwhile. */
const SPARE_BYTES = 200e6

async function judgeSpace({ cacheDir }: StoreOptions, needBytes: number | null): Promise<Verdict> {
  const free = await freeBytes(cacheDir)
  const place = `on the disk of ${cacheDir}, or move it with HF_HOME`
  if (needBytes === null) {
    const state = `${bytesInWords(free)} free; what is missing is not known without the hub`
    return free < SPARE_BYTES
      ? warning(state, `free at least ${bytesInWords(SPARE_BYTES - free)} ${place}`)
      : skipped(state)
  }
  const wanted = needBytes === 0 ? 'nothing' : bytesInWords(needBytes)
  const state = `${bytesInWords(free)} free, ${wanted} to be downloaded`
  if (free >= needBytes + SPARE_BYTES) return ok(state)
  return (needBytes > 0 ? failed : warning)(state, `free ${bytesInWords(needBytes + SPARE_BYTES - free)} ${place}`)
}
