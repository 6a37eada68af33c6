/** The one table that `npm start` ends with: what runs, from where it came, what its start took, and what its first and second use cost. */
import type { ModelStatus, ReadyReport } from '@hearth/shared/api'
import { judgeLastStart } from '@hearth/shared/boot-verdict'
import { bytesInWords } from '@hearth/shared/in-words'
import type { ServiceView } from './readiness.ts'

const NAMES = ['service', 'model', 'source', 'state']
const NUMBERS = ['size', 'files s', 'load s', 'warm-up s', 'first ms', 'second ms', 'memory']
const HEADINGS = [...NAMES, ...NUMBERS]
const NONE = '-'

/** One row for each model of each service, in aligned columns; a service without models has one row too. */
export function readyTable(views: readonly ServiceView[]): string {
  return alignedTable([HEADINGS, ...views.flatMap(rowsOf)], NAMES.length)
}

/** Rows, the first of which has the headings, with a rule below it; columns from `numbersFrom` on stand right. */
export function alignedTable(rows: readonly (readonly string[])[], numbersFrom: number): string {
  const widths = (rows[0] ?? []).map((_heading, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const cell = (text: string, column: number) => {
    const width = widths[column] ?? 0
    return column < numbersFrom ? text.padEnd(width) : text.padStart(width)
  }
  const lines = rows.map((row) => row.map(cell).join('  ').trimEnd())
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return lines.toSpliced(1, 0, rule).join('\n')
}

function rowsOf({ name, report, isDown }: ServiceView): string[][] {
  const rowOf = (state: string) => [[name, NONE, NONE, state, ...NUMBERS.map(() => NONE)]]
  if (isDown || report === null) return rowOf(isDown ? 'down' : 'starting')
  if (report.models.length === 0) return rowOf(report.ready ? 'ready' : 'starting')
  return report.models.map((model, index) => [index === 0 ? name : '', ...modelCells(model)])
}

function modelCells({ id, source, state, warming, firstInferenceMs, secondInferenceMs, boot }: ModelStatus): string[] {
  const { bytes, fetchMs, loadMs, warmUpMs, residentBytesBefore, residentBytesAfter } = boot ?? {}
  return [
    id,
    source ?? NONE,
    warming ? 'ready, warming' : state,
    bytes == null ? NONE : bytesInWords(bytes),
    ...[fetchMs, loadMs, warmUpMs].map((value) => (value == null ? NONE : (value / 1000).toFixed(2))),
    ...[firstInferenceMs, secondInferenceMs].map((value) => value?.toFixed(1) ?? NONE),
    memoryCell(residentBytesBefore, residentBytesAfter),
  ]
}

const memoryCell = (before: number | undefined, after: number | null | undefined): string =>
  before === undefined || after == null ? NONE : `${bytesInWords(before)} > ${bytesInWords(after)}`

/** What the table can't say in a cell: what was downloaded, what was slow, which models are stand-ins, what went wrong, each in one line. */
export function notes(views: readonly ServiceView[]): string[] {
  const models = views.flatMap(({ name, report }) => (report?.models ?? []).map((model) => ({ name, model })))
  const demos = models.filter(({ model }) => model.source === 'demo').map(({ name }) => name)
  const downloads = models.flatMap(({ name, model }) => downloadNote(name, model))
  const failures = models.flatMap(({ name, model }) => (model.error === null ? [] : [`${name}: ${model.error}`]))
  const slow = views.flatMap(({ name, report }) => slowNote(name, report))
  return [...downloads, ...slow, ...demoNote([...new Set(demos)]), ...failures]
}

function downloadNote(name: string, { boot }: ModelStatus): string[] {
  if (!boot || boot.downloadedBytes === 0 || boot.fetchMs === null) return []
  return [`${name} downloaded ${bytesInWords(boot.downloadedBytes)} in ${(boot.fetchMs / 1000).toFixed(1)} s.`]
}

/** Of this start: where a model is yet to come, the last one in the history was an earlier one's. */
function slowNote(name: string, report: ReadyReport | null): string[] {
  const boots = report?.boots ?? []
  if (!report?.models.some(({ boot }) => boot?.startedAt === boots.at(-1)?.startedAt)) return []
  const { status, detail } = judgeLastStart(boots)
  return status === 'warning' ? [`The start of ${name} ${detail}.`] : []
}

function demoNote(services: string[]): string[] {
  if (services.length === 0) return []
  const verb = services.length === 1 ? 'runs its' : 'run their'
  return [
    `${services.join(', ')} ${verb} small demo model: the hub was not asked or not reached. Skills: models/README.md`,
  ]
}
