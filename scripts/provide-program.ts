/** A program of the system, found on PATH, else installed when the system's package manager asks no question. */
import { QUESTION_LIMIT_MS } from './machine.ts'
import type { Machine } from './machine.ts'

const INSTALL_LIMIT_MS = 180_000

/** Package managers in the order they are looked for. Homebrew refuses to run as root, the others need to. */
const INSTALLERS = [
  { program: 'apt-get', install: ['install', '-y', '--no-install-recommends'], refresh: ['update'] },
  { program: 'dnf', install: ['install', '-y'] },
  { program: 'apk', install: ['add'] },
  { program: 'pacman', install: ['-S', '--noconfirm', '--needed'] },
  { program: 'brew', install: ['install'], asUser: true },
] as const
type Installer = { program: string; install: readonly string[]; refresh?: readonly string[]; asUser?: boolean }

export type WantedProgram = {
  /** For the person who reads what is done. */
  readonly title: string
  /** Any of them will do; the first that is there is taken. */
  readonly programs: readonly string[]
  /** What to install with each package manager; without an entry it is not asked. */
  readonly packages: Readonly<Partial<Record<(typeof INSTALLERS)[number]['program'], readonly string[]>>>
}

/** The path of the program, installed now when that needs no question; null when there is none to have. */
export async function provideProgram(
  wanted: WantedProgram,
  machine: Machine,
  tell: (line: string) => void,
): Promise<string | null> {
  const found = findProgram(wanted, machine)
  if (found !== null) return found
  const installer = INSTALLERS.find(({ program }) => machine.find(program) !== null)
  const packages = installer && wanted.packages[installer.program]
  const asRoot = packages && (await rootPrefix(machine, installer))
  if (!installer || !asRoot) return null
  tell(`installing ${wanted.title} with ${installer.program}`)
  if (!(await install(machine, installer, asRoot, packages)))
    tell(`${installer.program} could not install ${wanted.title}`)
  return findProgram(wanted, machine)
}

export const findProgram = ({ programs }: WantedProgram, machine: Machine): string | null =>
  programs.map((program) => machine.find(program)).find((path) => path !== null) ?? null

/** What to write before the installer's command, or null when it would ask for a password. */
async function rootPrefix(machine: Machine, installer: Installer): Promise<string[] | null> {
  if (installer.asUser) return machine.isRoot ? null : []
  if (machine.isRoot) return ['env']
  const isFree = machine.find('sudo') !== null && (await machine.run(['sudo', '-n', 'true'], QUESTION_LIMIT_MS))
  return isFree ? ['sudo', '-n', 'env'] : null
}

async function install(
  machine: Machine,
  installer: Installer,
  asRoot: readonly string[],
  packages: readonly string[],
): Promise<boolean> {
  // Debian asks questions unless told not to, and at run level 1 it doesn't start its own Redis service.
  const settings = installer.asUser ? [] : ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  const run = (parameters: readonly string[]) => {
    const [program = '', ...rest] = [...asRoot, ...settings, installer.program, ...parameters]
    return machine.run([program, ...rest], INSTALL_LIMIT_MS)
  }
  if (await run([...installer.install, ...packages])) return true
  // A fresh image has no package lists yet.
  return installer.refresh !== undefined && (await run(installer.refresh)) && run([...installer.install, ...packages])
}
