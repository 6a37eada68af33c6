import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keep } from './run.ts'
import { readTestReport, totalOf } from './test-report.ts'

const REPORTER = resolve(import.meta.dirname, 'test-report.ts')
const FILES = {
  'vitest.config.js': `
    import { FailureReporter } from '${REPORTER}'
    export default { test: { reporters: [new FailureReporter()] } }`,
  'mixed.test.js': `
    import { describe, expect, test } from 'vitest'
    test('adds', () => expect(1 + 1).toBe(2))
    test.skip('later', () => {})
    describe('sums', () => test('adds badly', () => expect(1 + 1).toBe(3)))`,
  'hook.test.js': `
    import { beforeAll, describe, test } from 'vitest'
    describe('with a hook', () => {
      beforeAll(() => { throw new Error('the hook broke') })
      test('never runs', () => {})
    })`,
  'stray.test.js': `
    import { expect, test } from 'vitest'
    test('leaves a rejection', () => { void Promise.reject(new Error('nobody waits')); expect(1).toBe(1) })`,
}

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-report-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(resolve('node_modules/vitest'), join(folder, 'node_modules/vitest'))
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)
})

afterEach(() => rmSync(folder, { recursive: true }))

test('tests, hooks and stray rejections that fail are all told, with where they were', async () => {
  const path = join(folder, 'report.json')
  vi.stubEnv('HEARTH_TEST_REPORT', path)
  const run = await keep('vitest', ['vitest', 'run', '--root', folder])

  const report = readTestReport(path)
  expect(run.isGood).toBe(false)
  expect(report).toMatchObject({ passed: 2, failed: 1 })
  const text = report.failures.join('\n')
  expect(text).toMatch(/FAIL {2}.*mixed\.test\.js > sums > adds badly\nAssertionError: expected 2 to be 3/)
  expect(text).toMatch(/FAIL {2}.*hook\.test\.js\nError: the hook broke/)
  expect(text).toMatch(/FAIL {2}outside of a test\nError: nobody waits/)
})

test('a run that ended before it could report counts nothing', () => {
  expect(readTestReport(join(folder, 'none.json'))).toEqual({ passed: 0, failed: 0, skipped: 0, failures: [] })
})

test('the total tells each failure, then the counts of all runs', () => {
  const unit = { passed: 3, failed: 0, skipped: 1, failures: [] }
  const page = { passed: 1, failed: 1, skipped: 0, failures: ['FAIL  page > opens\nError: no'] }
  expect(totalOf([unit, page])).toBe('FAIL  page > opens\nError: no\n\n4 passed, 1 failed, 1 skipped')
})
