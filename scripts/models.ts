/**
 * `npm run models pull [name ...]` brings the models of the services into the cache before a start needs them; `npm run models list` shows
 * which are there. Exit status: 0 all there, 1 some are not, 2 not understood, 130 stopped by Ctrl-C. One without which all goes on counts
 * when it is named.
 */
import { resolve } from 'node:path'
import { examineFiles } from '@hearth/shared/doctor-files'
import { bytesInWords } from '@hearth/shared/in-words'
import { createLogger } from '@hearth/shared/telemetry'
import { type ChosenModel, chosenModels, MODEL_NAMES } from './chosen-models.ts'
import { readable } from './log-line.ts'
import { stackPorts } from './ports.ts'
import { pullModels } from './pull-models.ts'
import { createScreen } from './screen.ts'
import { dataFolder, stackEnvironment } from './stack.ts'
import { alignedTable } from './table.ts'

const USAGE = `usage: npm run models pull [${MODEL_NAMES.join('] [')}] | npm run models list`
const STATES = { complete: 'here', missing: 'not here', damaged: 'damaged' } as const
const OPTIONAL = ' (optional)'
const NUMBERS_FROM = 4

const root = resolve(import.meta.dirname, '..')
const screen = createScreen(process.stdout)
const log = createLogger({ service: 'models', level: 'warn' }, { write: (line: string) => tellLog(line) })
const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort(new Error(signal)))

const [command, ...names] = process.argv.slice(2)
process.exitCode = await main().catch((error: unknown) => {
  screen.status('')
  if (!stopping.signal.aborted) throw error
  screen.line('Stopped; the next time goes on from here.')
  return 130
})

async function main(): Promise<number> {
  const unknown = names.find((name) => !(MODEL_NAMES as readonly string[]).includes(name))
  if (unknown !== undefined || (command !== 'pull' && command !== 'list')) {
    console.error(unknown === undefined ? USAGE : `no model is called ${unknown}; ${USAGE}`)
    return 2
  }
  const home = dataFolder(root, process.env)
  const ports = stackPorts(process.env['HEARTH_PORT'])
  const all = chosenModels(stackEnvironment({ root, ports, home }, process.env), log)
  const chosen = names.length === 0 ? all : all.filter(({ name }) => names.includes(name)).map(required)
  if (command === 'list') return list(chosen)
  return (await pullModels(chosen, screen, stopping.signal)) > 0 ? 1 : 0
}

async function list(models: readonly ChosenModel[]): Promise<number> {
  const found = await Promise.all(models.map(({ spec, store }) => examineFiles(spec, store, stopping.signal)))
  const rows = models.map(({ name, spec, store, isOptional }, at) => {
    const { state = 'missing', bytes = 0 } = found[at] ?? {}
    return [
      name,
      spec.id,
      `${STATES[state]}${isOptional ? OPTIONAL : ''}`,
      store.localDir ?? store.cacheDir,
      bytesInWords(bytes),
    ]
  })
  screen.line(alignedTable([['name', 'model', 'state', 'folder', 'size'], ...rows], NUMBERS_FROM))
  return found.every(({ state }, at) => state === 'complete' || models[at]?.isOptional) ? 0 : 1
}

/** Who names a model wants it. */
function required(model: ChosenModel): ChosenModel {
  return { ...model, isOptional: false }
}

function tellLog(line: string): void {
  screen.line(readable(line.trimEnd()))
}
