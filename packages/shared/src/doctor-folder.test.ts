import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { remedyFor } from './doctor-folder.ts'

test.skipIf(process.platform === 'win32')(
  'the command for a folder that this user may not write works, also where there is none yet',
  async () => {
    const home = await mkdtemp(join(tmpdir(), 'hearth-folder-'))
    onTestFinished(() => rm(home, { recursive: true }))
    const folder = join(home, 'cache', 'hub')
    const remedy = remedyFor('EACCES', folder, 'HF_HOME')
    const [, command = ''] = /^as its owner or root: (.*), or name another folder with HF_HOME$/.exec(remedy) ?? []
    execFileSync('/bin/sh', ['-c', command])
    expect((await stat(folder)).uid).toBe(process.getuid?.())
  },
)

test('each reason has its own remedy', () => {
  expect(remedyFor('ENOSPC', '/a', 'HF_HOME')).toBe(
    'free some space on the disk of /a, or name another folder with HF_HOME',
  )
  expect(remedyFor('EROFS', '/a', 'HF_HOME')).toBe('mount the disk of /a writable, or name another folder with HF_HOME')
})
