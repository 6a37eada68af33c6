/**
 * How Hearth is examined: checks that each look at one thing, all at once, each with a limit of its own. A check that hangs or breaks is a
 * finding like any other. What a check says is shown to people and sent to pages, so no check puts a secret into its words.
 */
import type { DoctorReport, Finding } from './api.ts'
import { AppError } from './errors.ts'
import { keepAnswer } from './kept-answer.ts'
import { orAborted } from './waits.ts'

export type Verdict = Omit<Finding, 'service' | 'check'>
export type Check = { readonly name: string; readonly run: (signal: AbortSignal) => Promise<Verdict> | Verdict }

const CHECK_MS = 4000
/** So that who asks again and again makes no work. */
const KEPT_MS = 5000
/** From the best to the worst. */
const ORDER = ['skipped', 'ok', 'warning', 'failed'] as const

export const ok = (detail: string): Verdict => ({ status: 'ok', detail, remedy: null })
export const skipped = (detail: string): Verdict => ({ status: 'skipped', detail, remedy: null })
export const warning = (detail: string, remedy: string): Verdict => ({ status: 'warning', detail, remedy })
export const failed = (detail: string, remedy: string): Verdict => ({ status: 'failed', detail, remedy })

/** Runs the checks side by side. Never rejects, and is over after `limitMs`. */
export function diagnose(service: string, checks: readonly Check[], limitMs = CHECK_MS): Promise<Finding[]> {
  return Promise.all(
    checks.map(async (check) => ({ service, check: check.name, ...(await verdictOf(check, limitMs)) })),
  )
}

async function verdictOf({ run }: Check, limitMs: number): Promise<Verdict> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), limitMs)
  try {
    return await orAborted(Promise.resolve(run(late.signal)), late.signal)
  } catch (error) {
    if (late.signal.aborted)
      return warning(
        `not known: no result within ${limitMs / 1000} s`,
        'ask again when the machine is less busy; if it stays so, what is asked there hangs: start it again',
      )
    return failed(`could not be checked (${codeOf(error)})`, 'look into the log of the service')
  } finally {
    clearTimeout(timer)
  }
}

/** Never the message, which may quote an address with a password. */
const codeOf = (error: unknown): string => {
  if (error instanceof AppError) return error.code
  return error instanceof Error && 'code' in error ? String(error.code) : 'unexpected error'
}

export function reportOf(findings: readonly Finding[]): DoctorReport {
  const worst = Math.max(0, ...findings.map(({ status }) => ORDER.indexOf(status)))
  const status = worst > 1 ? (ORDER[worst] === 'failed' ? 'failed' : 'warning') : 'ok'
  return { status, checkedAt: new Date().toISOString(), findings: [...findings] }
}

/** What a `GET /doctor` answers with: those who ask at once or soon after get the same report. */
export const createDoctor = (examine: () => Promise<Finding[]>): (() => Promise<DoctorReport>) =>
  keepAnswer(async () => reportOf(await examine()), KEPT_MS)

/** The host and port of an address, without the user and password it may have. */
export const placeOf = (address: string): string => URL.parse(address)?.host ?? 'an address that can not be read'
