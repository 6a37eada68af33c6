/**
 * A vitest reporter that writes to the file in HEARTH_TEST_REPORT what `npm test` repeats at its very end: how many tests passed, and each
 * failure with its first lines. The failures of one project would otherwise be screens above the results of the next.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node'

export type TestReport = {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Each where and what, ready to be shown. */
  readonly failures: readonly string[]
}

const NOTHING: TestReport = { passed: 0, failed: 0, skipped: 0, failures: [] }
const LINES_SHOWN = 12

/** What the reporter has written; nothing, when vitest ended before it could. */
export function readTestReport(path: string): TestReport {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TestReport
  } catch {
    return NOTHING
  }
}

/** All failures, then how many tests passed, failed and were skipped in all. */
export function totalOf(reports: readonly TestReport[]): string {
  const sum = (key: 'passed' | 'failed' | 'skipped') => reports.reduce((total, report) => total + report[key], 0)
  const counts = `${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`
  return [...reports.flatMap(({ failures }) => failures), counts].join('\n\n')
}

/** Does nothing where the variable is not set. */
export class FailureReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const path = process.env['HEARTH_TEST_REPORT']
    if (path === undefined) return
    writeFileSync(path, JSON.stringify(reportOf(modules, unhandled)))
  }
}

function reportOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): TestReport {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  const count = (state: string) => tests.filter((test) => test.result().state === state).length
  const failures = [
    ...tests.flatMap((test) => shown(`${fileOf(test.module)} > ${test.fullName}`, errorsOf(test))),
    ...modules.flatMap((module) => shown(fileOf(module), [...module.errors(), ...suiteErrors(module)])),
    ...shown('outside of a test', unhandled),
  ]
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), failures }
}

const fileOf = ({ moduleId }: TestModule) => relative(process.cwd(), moduleId)

/** Of the hooks around tests. */
const suiteErrors = ({ children }: TestModule) => [...children.allSuites()].flatMap((suite) => suite.errors())

const errorsOf = (test: TestCase) => test.result().errors ?? []

function shown(place: string, errors: readonly SerializedError[]): string[] {
  const isOurs = (line: string) => !line.includes('/node_modules/')
  const firstLines = (text: string) => text.split('\n').filter(isOurs).slice(0, LINES_SHOWN).join('\n')
  return errors.map(({ message, stack }) => `FAIL  ${place}\n${firstLines(stack ?? message)}`)
}
