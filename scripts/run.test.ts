import { expect, test } from 'vitest'
import { keep, summary } from './run.ts'

const node = (program: string) => keep('step', [process.execPath, '-e', program])

test('output of both streams is kept, and the exit code decides', async () => {
  expect(await node(`console.log('out'); console.error('err')`)).toMatchObject({ isGood: true, output: 'out\nerr\n' })
  expect(await node('process.exit(2)')).toMatchObject({ isGood: false, output: 'ended by exit code 2\n' })
})

test('a program that ends by a signal, or is not there, did not end well', async () => {
  expect(await node(`process.kill(process.pid, 'SIGKILL')`)).toMatchObject({ isGood: false })
  const missing = await keep('step', ['/nowhere/at-all'])
  expect(missing.isGood).toBe(false)
  expect(missing.output).toContain('ENOENT')
})

test('the summary has one line for each step', () => {
  const outcomes = [
    { name: 'unit', isGood: true, seconds: 1.26, output: '' },
    { name: 'model', isGood: false, seconds: 100, output: '' },
  ]
  expect(summary(outcomes)).toBe('ok    unit      1.3 s\nFAIL  model   100.0 s')
})
