/** Chromium for the tests of the page. A person who only runs Hearth needs none. */
import { provideProgram } from './provide-program.ts'
import type { WantedProgram } from './provide-program.ts'
import type { Machine } from './machine.ts'

export const CHROMIUM: WantedProgram = {
  title: 'Chromium',
  programs: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  packages: { 'apt-get': ['chromium'], dnf: ['chromium'], apk: ['chromium'], pacman: ['chromium'] },
}

/** The path of a Chromium, installed now when that needs no question; null when there is none to have. */
export const provideChromium = (machine: Machine, tell: (line: string) => void): Promise<string | null> =>
  provideProgram(CHROMIUM, machine, tell)
