/** The doctor's findings for people: what is well in one line, what is not with what to do about it. */
import { styleText } from 'node:util'
import type { DoctorReport, Finding } from '@hearth/shared/api'

const COLOURS = { ok: 'green', skipped: 'dim', warning: 'yellow', failed: 'red' } as const
const STATUS_WIDTH = 'skipped'.length

/** Grouped by service, in the order in which they came. */
export function findingsText({ findings }: Pick<DoctorReport, 'findings'>): string {
  const services = [...new Set(findings.map(({ service }) => service))]
  const width = Math.max(0, ...findings.map(({ check }) => check.length))
  const groups = services.map((service) => {
    const own = findings.filter((finding) => finding.service === service)
    return [service, ...own.flatMap((finding) => linesOf(finding, width))].join('\n')
  })
  return [...groups, summaryOf(findings)].join('\n\n')
}

function linesOf({ check, status, detail, remedy }: Finding, width: number): string[] {
  const head = `  ${styleText(COLOURS[status], status.padEnd(STATUS_WIDTH))}  ${check.padEnd(width)}  `
  const indent = ' '.repeat(2 + STATUS_WIDTH + 2 + width + 2)
  const told = detail.split('\n').join(`\n${indent}`)
  return [`${head}${told}`, ...(remedy === null ? [] : [`${indent}-> ${remedy}`])]
}

function summaryOf(findings: readonly Finding[]): string {
  const count = (status: Finding['status']) => findings.filter((finding) => finding.status === status).length
  const [failures, warnings] = [count('failed'), count('warning')]
  return failures + warnings === 0 ? 'All is well.' : `${plural(failures, 'failure')}, ${plural(warnings, 'warning')}.`
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`
