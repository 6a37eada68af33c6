/** How a bench shows and keeps its figures: a table on the terminal, JSON in bench/results. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The q-quantile (0 to 1), nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

/** Prints the rows and writes them to `bench/results/<name>.json`. */
export async function show(name: string, rows: readonly Record<string, string | number>[]): Promise<void> {
  console.table(rows)
  const folder = join(import.meta.dirname, 'results')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(rows, null, 2)}\n`)
}
