import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DoctorReport, type Finding } from '@hearth/shared/api'
import { reportOf } from '@hearth/shared/doctor'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { findingsText } from './doctor-text.ts'
import { portProblems, stackPorts } from './ports.ts'

const SCRIPT = join(import.meta.dirname, 'doctor.ts')
const finding = (status: Finding['status'], remedy: string | null = null): Finding => ({
  service: 'stt',
  check: 'model files',
  status,
  detail: `a ${status} detail`,
  remedy,
})

let env: NodeJS.ProcessEnv

beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), 'hearth-doctor-'))
  const HEARTH_PORT = `${await fiveFreePorts()}`
  const own = { HEARTH_HOME: home, HEARTH_PORT, HF_HUB_OFFLINE: '1', OLLAMA_URL: 'http://127.0.0.1:1', NO_COLOR: '1' }
  env = { PATH: process.env['PATH'], ...own }
  return () => rm(home, { recursive: true, force: true })
})

async function fiveFreePorts(): Promise<number> {
  for (let first = 16_000 + (process.pid % 900) * 10; ; first += 5)
    if ((await portProblems(stackPorts(`${first}`))).length === 0) return first
}

const run = (parameters: string[], more: NodeJS.ProcessEnv = {}) =>
  new Promise<{ code: number; output: string }>((done) => {
    const child = execFile(process.execPath, [SCRIPT, ...parameters], { env: { ...env, ...more } }, (_error, stdout) =>
      done({ code: child.exitCode ?? -1, output: stdout }),
    )
  })

/** Something that listens where the stack would. */
async function listenAt(port: number, answer: (path: string, key: string) => { status: number; body: unknown }) {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url ?? '', request.headers.authorization ?? '')
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe('npm run doctor', () => {
  test('looks at everything itself while no stack runs; missing models are warnings and exit status 1', async () => {
    const { code, output } = await run(['--json'])
    const { status, findings } = DoctorReport.parse(JSON.parse(output))
    expect([status, code]).toEqual(['warning', 1])
    const checks = findings.map(({ service, check }) => `${service} ${check}`)
    for (const check of [
      'orchestrator turn model files',
      'stack ports',
      'stack redis',
      'orchestrator node',
      'orchestrator ollama',
      'stt model files',
    ])
      expect(checks).toContain(check)
    expect(findings.filter((one) => one.check === 'model files').map((one) => [one.service, one.status])).toEqual([
      ['orchestrator', 'warning'],
      ['stt', 'warning'],
      ['tts', 'warning'],
      ['embeddings', 'warning'],
    ])
  }, 30_000)

  test('a port that another program holds is a failure with its remedy, and exit status 2', async () => {
    const port = await listenAt(Number(env['HEARTH_PORT']) + 2, () => ({ status: 404, body: {} }))
    const { code, output } = await run([])
    expect(code).toBe(2)
    expect(output).toMatch(
      new RegExp(`failed +ports +Port ${port} is in use, and tts needs it\\n +-> stop the program that has it`),
    )
    expect(output).toMatch(/1 failure, \d+ warnings\.\n$/)
  }, 30_000)

  test('a stack without its orchestrator is told as such', async () => {
    const report = { service: 'stt', ready: true, models: [] }
    await listenAt(Number(env['HEARTH_PORT']) + 1, () => ({ status: 200, body: report }))
    const { code, output } = await run([])
    expect([code, output]).toEqual([
      2,
      expect.stringMatching(/failed +ports +stt of a stack run, without its orchestrator/),
    ])
  }, 30_000)

  test.each([
    ['ok', 0],
    ['warning', 1],
    ['failed', 2],
  ] as const)(
    'a stack that runs is asked, with its key; a report that is %s ends with %i',
    async (status, expected) => {
      const report = reportOf([finding(status, status === 'ok' ? null : 'do this')])
      await listenAt(Number(env['HEARTH_PORT']), (path, key) =>
        path === '/doctor' && key === 'Bearer the-key' ? { status: 200, body: report } : { status: 401, body: {} },
      )
      const { code, output } = await run(['--json'], { HEARTH_API_KEY: 'the-key' })
      expect([code, JSON.parse(output)]).toEqual([expected, report])
      if (status !== 'ok') return
      expect(await run([])).toMatchObject({ code: 2, output: expect.stringContaining('set HEARTH_API_KEY') })
    },
    30_000,
  )

  test('settings that can’t be used are a finding, without the secret', async () => {
    const { code, output } = await run([], { HEARTH_API_KEY: 'too-short', STT_THREADS: 'many' })
    expect([code, output]).toEqual([2, expect.stringMatching(/failed +settings +these settings can't be used/)])
    // Each variable stands below the words, not at the margin.
    expect(output).toMatch(/\n {21,}[A-Z_]+: /)
    expect(output).not.toContain('too-short')
  }, 30_000)
})

test('findings are grouped, and a remedy stands below what it is for', () => {
  const other = { ...finding('skipped'), service: 'tts', check: 'hub' }
  expect(findingsText({ findings: [finding('ok'), finding('failed', 'do this'), other] }).split('\n')).toEqual([
    'stt',
    expect.stringMatching(/^ {2}\S*ok {5}\S* {2}model files {2}a ok detail$/),
    expect.stringMatching(/^ {2}\S*failed \S* {2}model files {2}a failed detail$/),
    '                        -> do this',
    '',
    'tts',
    expect.stringMatching(/^ {2}\S*skipped\S* {2}hub {10}a skipped detail$/),
    '',
    '1 failure, 0 warnings.',
  ])
  expect(findingsText({ findings: [finding('ok')] })).toMatch(/All is well\.$/)
})
