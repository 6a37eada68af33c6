import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { blobPath, findSnapshot, linkFile, snapshotFolder } from './hub-cache.ts'
import { put } from './testing/store-fixture.ts'

const refusals = vi.hoisted(() => new Set<string>())

/** A file system without links, as on some volumes and on Windows without the right to make them. */
vi.mock(import('node:fs/promises'), async (importOriginal) => {
  const real = await importOriginal()
  const refuse = (name: string): void => {
    if (refusals.has(name)) throw Object.assign(new Error(name), { code: 'EPERM' })
  }
  return {
    ...real,
    symlink: async (...rest) => {
      refuse('symlink')
      await real.symlink(...rest)
    },
    link: async (...rest) => {
      refuse('link')
      await real.link(...rest)
    },
  }
})

test.for([
  ['a hard link', ['symlink'], true],
  ['a copy', ['symlink', 'link'], false],
] as const)('where links can not be made, the snapshot gets %s', async ([, refused, isSameFile]) => {
  const cacheDir = await mkdtemp(join(tmpdir(), 'hearth-cache-'))
  onTestFinished(() => rm(cacheDir, { recursive: true }))
  onTestFinished(() => refusals.clear())
  for (const name of refused) refusals.add(name)
  const facts = { commit: 'a'.repeat(40), etag: 'b'.repeat(40), isWeak: false, size: 1 }
  const blob = blobPath(cacheDir, 'x/y', facts.etag)
  await put(blob, 'z')
  await linkFile(cacheDir, 'x/y', 'onnx/f', facts)
  const path = join(snapshotFolder(cacheDir, 'x/y', facts.commit), 'onnx/f')
  expect(await readFile(path, 'utf8')).toBe('z')
  expect((await stat(path)).ino === (await stat(blob)).ino).toBe(isSameFile)
  expect(await findSnapshot(cacheDir, 'x/y', facts.commit, ['onnx/f'])).not.toBe(null)
})
