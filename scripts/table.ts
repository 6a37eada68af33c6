/** The one table that `npm start` ends with: what runs, from where it came, and what its first and second use cost. */
import type { ModelStatus } from '@hearth/shared/api'
import type { ServiceView } from './readiness.ts'

const HEADINGS = ['service', 'model', 'source', 'state', 'load s', 'first ms', 'second ms']
const NUMBERS_FROM = 4
const NONE = '-'

/** One row for each model of each service, in aligned columns; a service without models has one row too. */
export function readyTable(views: readonly ServiceView[]): string {
  const rows = [HEADINGS, ...views.flatMap(rowsOf)]
  const widths = HEADINGS.map((_heading, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const cell = (text: string, column: number) => {
    const width = widths[column] ?? 0
    return column < NUMBERS_FROM ? text.padEnd(width) : text.padStart(width)
  }
  const lines = rows.map((row) => row.map(cell).join('  ').trimEnd())
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return lines.toSpliced(1, 0, rule).join('\n')
}

function rowsOf({ name, report, isDown }: ServiceView): string[][] {
  if (isDown || report === null) return [[name, NONE, NONE, isDown ? 'down' : 'starting', NONE, NONE, NONE]]
  if (report.models.length === 0) return [[name, NONE, NONE, report.ready ? 'ready' : 'starting', NONE, NONE, NONE]]
  return report.models.map((model, index) => [index === 0 ? name : '', ...modelCells(model)])
}

function modelCells(model: ModelStatus): string[] {
  const seconds = model.loadMs === null ? NONE : (model.loadMs / 1000).toFixed(2)
  return [model.id, model.source ?? NONE, model.state, seconds, ms(model.firstInferenceMs), ms(model.secondInferenceMs)]
}

const ms = (value: number | null): string => value?.toFixed(1) ?? NONE

/** What the table can't say in a cell: which models are stand-ins, what went wrong, each in one line. */
export function notes(views: readonly ServiceView[]): string[] {
  const models = views.flatMap(({ name, report }) => (report?.models ?? []).map((model) => ({ name, model })))
  const demos = models.filter(({ model }) => model.source === 'demo').map(({ name }) => name)
  const failures = models.flatMap(({ name, model }) => (model.error === null ? [] : [`${name}: ${model.error}`]))
  return [...demoNote([...new Set(demos)]), ...failures]
}

function demoNote(services: string[]): string[] {
  if (services.length === 0) return []
  const verb = services.length === 1 ? 'runs its' : 'run their'
  return [
    `${services.join(', ')} ${verb} small demo model: the hub was not asked or not reached. Skills: models/README.md`,
  ]
}
