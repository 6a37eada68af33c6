/** Brings models into the cache, with a bar for each: what is there is checked first, and what is damaged is fetched anew. */
import { bytesInWords } from '@hearth/shared/in-words'
import { type FetchProgress, type Milestone, milestoneOf, progressOf } from '@hearth/shared/model-status'
import { discardModel, fetchModel, type ModelFiles, verifyCached } from '@hearth/shared/model-store'
import type { ChosenModel } from './chosen-models.ts'
import { progressBar } from './progress-bar.ts'
import type { Screen } from './screen.ts'

const STEP_PERCENT = 25

/** How many could not be had, of those that have to be there. Rejects only with the signal's reason: what came until then is kept, and the next time goes on from there. */
export async function pullModels(
  models: readonly ChosenModel[],
  screen: Screen,
  signal: AbortSignal,
  now = () => performance.now(),
): Promise<number> {
  const bars = new Map<string, string>()
  const show = () => screen.isTerminal && screen.status([...bars.values()].join('\n'))
  const width = Math.max(...models.map(({ name }) => name.length))
  const outcomes = await Promise.all(
    models.map(async (model) => {
      const label = model.name.padEnd(width)
      const tell = (line: string) => {
        bars.delete(model.name)
        show()
        screen.line(`${label}  ${line}`)
      }
      const onProgress = tracked(now, screen.isTerminal, (bar) => {
        if (!screen.isTerminal) return screen.line(`${label}  ${bar}`)
        bars.set(model.name, `${label}  ${bar}`)
        show()
      })
      return pullOne(model, onProgress, tell, signal)
    }),
  )
  return models.filter(({ isOptional }, at) => !isOptional && !outcomes[at]).length
}

async function pullOne(
  { spec, store: usual, isOptional }: ChosenModel,
  onProgress: (news: FetchProgress) => void,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  // Who asks for a model wants that one.
  const { demoDir: _, ...store } = usual
  try {
    const found = await fetchModel(spec, store, onProgress, signal)
    const damaged = await damagedOf(found, store.cacheDir)
    if (damaged.length > 0) {
      await discardModel(found, store.cacheDir)
      tell(`${damaged.join(', ')} was damaged: fetched anew`)
    }
    tell(outcomeOf(damaged.length > 0 ? await fetchModel(spec, store, onProgress, signal) : found))
    return true
  } catch (error) {
    signal.throwIfAborted()
    const without = isOptional ? ', and Hearth goes on without it' : ''
    tell(`${spec.id} can't be had${without}: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}

async function damagedOf(files: ModelFiles, cacheDir: string): Promise<string[]> {
  const verdicts = await verifyCached(files, cacheDir)
  return [...verdicts].filter(([, verdict]) => verdict === 'damaged').map(([file]) => file)
}

function outcomeOf({ id, source, dir, bytes = 0, downloadedBytes = 0 }: ModelFiles): string {
  if (source === 'local') return `${id} is in a folder of its own, nothing to fetch: ${dir}`
  if (downloadedBytes === 0) return `${id} was there: ${bytesInWords(bytes)}`
  return `${id} is there: ${bytesInWords(bytes)}, ${bytesInWords(downloadedBytes)} of them downloaded now`
}

/** Hands on a bar once something comes from the hub: each change for a terminal, else each fourth. */
function tracked(now: () => number, isTerminal: boolean, draw: (bar: string) => void): (news: FetchProgress) => void {
  let first: Milestone | null = null
  let shownStep = -1
  return (news) => {
    first ??= milestoneOf(news, now())
    if (first === null) return
    const progress = progressOf(news, first, now())
    const step = Math.floor((progress.percent ?? 0) / (isTerminal ? 1 : STEP_PERCENT))
    if (!isTerminal && step === shownStep) return
    shownStep = step
    draw(progressBar(progress))
  }
}
