/** Runs vitest for `npm test` and `npm run test:compose`, and tells at the end what failed in all of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { show, summary } from './run.ts'
import type { Outcome } from './run.ts'
import { readTestReport, totalOf } from './test-report.ts'
import type { TestReport } from './test-report.ts'

export type TestOutcome = Outcome & { readonly report?: TestReport }

/** One run of vitest, its output shown as it comes. */
export async function runVitest(name: string, options: readonly string[]): Promise<TestOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-tests-'))
  const path = join(folder, 'report.json')
  process.env['HEARTH_TEST_REPORT'] = path
  const outcome = await show(name, ['vitest', 'run', ...options])
  const report = readTestReport(path)
  rmSync(folder, { recursive: true })
  return { ...outcome, report }
}

/** Prints each failure, each step and the counts, and sets the exit code of this process. */
export function conclude(outcomes: readonly TestOutcome[]): void {
  console.log(`\n${summary(outcomes)}\n`)
  console.log(totalOf(outcomes.flatMap(({ report }) => report ?? [])))
  process.exitCode = outcomes.every(({ isGood }) => isGood) ? 0 : 1
}
