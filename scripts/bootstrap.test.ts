import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const INSTALLS = `mkdir -p node_modules/.bin && ln -sf "${process.execPath}" node_modules/.bin/node`
const SHOWS_ARGUMENTS = 'console.log(process.argv.slice(2).join()); process.exitCode = 7'

/** A clone with one script and an `npx` that does what the test says; each call of it is one line of `calls`. */
function cloneWith({ npx, script }: { npx: string; script: string }) {
  const root = mkdtempSync(join(tmpdir(), 'hearth-bootstrap-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const folder of ['scripts', 'packages/one', 'bin']) mkdirSync(join(root, folder), { recursive: true })
  const write = (path: string, text: string) => writeFileSync(join(root, path), text)
  copyFileSync(join(import.meta.dirname, 'bootstrap.mjs'), join(root, 'scripts/bootstrap.mjs'))
  write('pnpm-workspace.yaml', 'packages:\n  - packages/*\n')
  write('pnpm-lock.yaml', '')
  write('package.json', '{"type":"module"}')
  write('packages/one/package.json', '{}')
  write('script.ts', script)
  write('bin/npx', `#!/bin/sh\necho "$@" >> calls\n${npx}\n`)
  chmodSync(join(root, 'bin/npx'), 0o755)
  const start = (...parameters: string[]) => startBootstrap(root, ['script.ts', ...parameters])
  const calls = () =>
    existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : []
  return { start, calls, write }
}

function startBootstrap(root: string, parameters: string[]) {
  const child = spawn(process.execPath, ['scripts/bootstrap.mjs', ...parameters], {
    cwd: root,
    env: { PATH: `${join(root, 'bin')}:${process.env['PATH']}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, output }))
  return { child, ended }
}

test('the first run installs, and hands on arguments and exit code', async () => {
  const { start, calls } = cloneWith({ npx: INSTALLS, script: SHOWS_ARGUMENTS })
  const { code, output } = await start('one', '--two').ended
  expect(code).toBe(7)
  expect(output).toMatch(/^Installing dependencies \.\.\. [\d.]+ s\none,--two\n$/)
  expect(calls()).toEqual(['-y pnpm@12.21.0 install --frozen-lockfile'])
})

test('the next run installs nothing, until a manifest changes', async () => {
  const { start, calls, write } = cloneWith({ npx: INSTALLS, script: SHOWS_ARGUMENTS })
  await start().ended
  expect(await start('again').ended).toEqual({ code: 7, output: 'again\n' })
  expect(calls()).toHaveLength(1)
  write('packages/one/package.json', '{"dependencies":{}}')
  await start().ended
  expect(calls()).toHaveLength(2)
})

test('a network failure is shown and tried again', async () => {
  const npx = `[ "$(wc -l < calls)" -gt 1 ] || { echo 'request failed: ECONNRESET'; exit 1; }; ${INSTALLS}`
  const { start, calls } = cloneWith({ npx, script: SHOWS_ARGUMENTS })
  const { code, output } = await start().ended
  expect(code).toBe(7)
  expect(output).toContain('network failure (ECONNRESET), trying again ... ')
  expect(calls()).toHaveLength(2)
})

test('any other failure ends the run at once, with what the installer said', async () => {
  const { start, calls } = cloneWith({ npx: 'echo ERR_PNPM_OUTDATED_LOCKFILE; exit 1', script: SHOWS_ARGUMENTS })
  const { code, output } = await start().ended
  expect(code).toBe(1)
  expect(output).toBe('Installing dependencies ... failed.\nERR_PNPM_OUTDATED_LOCKFILE\n')
  expect(calls()).toHaveLength(1)
})

test('a signal is handed on, and the script decides how to end', async () => {
  const script = `process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1000); console.log('up')`
  const { child, ended } = cloneWith({ npx: INSTALLS, script }).start()
  child.stdout.on('data', (text: string) => {
    if (text.includes('up')) child.kill('SIGTERM')
  })
  expect(await ended).toMatchObject({ code: 5 })
})
