/**
 * `npm run doctor`: what is not as it should be, and what to do about it. A stack that runs is asked for its own findings (`GET /doctor`);
 * else the same things are looked at from here. Exit status: 0 all is well, 1 there are warnings, 2 something has failed. `--json` for scripts.
 */
import { resolve } from 'node:path'
import { DoctorReport } from '@hearth/shared/api'
import { reportOf } from '@hearth/shared/doctor'
import { createLogger } from '@hearth/shared/telemetry'
import { examineHere } from './doctor-local.ts'
import { findingsText } from './doctor-text.ts'
import { stackPorts } from './ports.ts'
import { dataFolder, stackEnvironment, urlOf } from './stack.ts'

const ANSWER_MS = 8000
const EXIT = { ok: 0, warning: 1, failed: 2 } as const

const root = resolve(import.meta.dirname, '..')
const report = await examine().catch((error: unknown) => {
  const detail = error instanceof Error ? error.message : String(error)
  const remedy = 'correct these variables where they are set; .env.example tells what each one takes'
  return reportOf([{ service: 'stack', check: 'settings', status: 'failed', detail, remedy }])
})
console.log(process.argv.includes('--json') ? JSON.stringify(report, null, 2) : findingsText(report))
process.exitCode = EXIT[report.status]

async function examine(): Promise<DoctorReport> {
  const ports = stackPorts(process.env['HEARTH_PORT'])
  const home = dataFolder(root, process.env)
  const url = urlOf(ports, 'orchestrator')
  const told = await askStack(url)
  if (told !== null) return told
  const env = stackEnvironment({ root, ports, home }, process.env)
  return reportOf(await examineHere({ home, ports }, env, createLogger({ service: 'doctor', level: 'silent' })))
}

/** What the stack that runs says; null when none does. */
async function askStack(url: string): Promise<DoctorReport | null> {
  const key = process.env['HEARTH_API_KEY']
  const headers = key ? { authorization: `Bearer ${key}` } : {}
  const signal = AbortSignal.timeout(ANSWER_MS)
  const answer = await fetch(`${url}/doctor`, { headers, redirect: 'error', signal }).catch(() => null)
  if (answer?.status === 401)
    throw new Error(`the stack at ${url} asks for a key: set HEARTH_API_KEY to the one it has`)
  if (!answer?.ok) return null
  return DoctorReport.safeParse(await answer.json().catch(() => null)).data ?? null
}
