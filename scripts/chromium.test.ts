import { expect, test } from 'vitest'
import { provideChromium } from './chromium.ts'
import type { Machine } from './machine.ts'

/** A machine with these programs, on which every command does its work. */
function machineWith(...programs: string[]) {
  const ran: string[] = []
  const machine: Machine = {
    isRoot: true,
    find: (program) => (programs.includes(program) ? `/bin/${program}` : null),
    run: async (command) => {
      ran.push(command.join(' '))
      programs.push('chromium')
      return true
    },
  }
  return { machine, ran }
}

test('any Chromium that is there is taken', async () => {
  const { machine, ran } = machineWith('google-chrome', 'apt-get')
  expect(await provideChromium(machine, () => undefined)).toBe('/bin/google-chrome')
  expect(ran).toEqual([])
})

test('else it is installed, and that is told', async () => {
  const { machine, ran } = machineWith('apt-get')
  const told: string[] = []
  expect(await provideChromium(machine, (line) => told.push(line))).toBe('/bin/chromium')
  expect(ran).toEqual([expect.stringContaining('apt-get install -y --no-install-recommends chromium')])
  expect(told).toEqual(['installing Chromium with apt-get'])
})

test('a package manager that does not have it is not asked', async () => {
  const { machine, ran } = machineWith('brew')
  expect(await provideChromium(machine, () => undefined)).toBeNull()
  expect(ran).toEqual([])
})
