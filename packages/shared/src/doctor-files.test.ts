import { expect, test, vi } from 'vitest'
import { eventually } from './testing/eventually.ts'
import { examineFiles } from './doctor-files.ts'
import { fetchModel } from './model-store.ts'
import { gate, never } from './testing/signals.ts'
import { storeFixture } from './testing/store-fixture.ts'

const read = vi.hoisted(() => ({ paths: [] as string[], mayBegin: Promise.resolve() }))

vi.mock(import('./hub-cache.ts'), async (importOriginal) => {
  const real = await importOriginal()
  return {
    ...real,
    judgeFile: async (path) => {
      read.paths.push(path)
      await read.mayBegin
      return real.judgeFile(path)
    },
  }
})

test('a file that is still being read is not read once more', async () => {
  const { spec, options } = await storeFixture()
  await fetchModel(spec, options, () => undefined, never)
  const { promise, resolve } = gate()
  read.mayBegin = promise
  const looks = [1, 2, 3].map(() => examineFiles(spec, options, never))
  await eventually(() => expect(read.paths).not.toEqual([]))
  resolve()
  expect((await Promise.all(looks)).map(({ state }) => state)).toEqual(Array(3).fill('complete'))
  expect(read.paths).toHaveLength(new Set(read.paths).size)
})
