/** For a test that kills it: puts one note after another, and tells how many it has put. */
import { openMemory } from '../stages/memory-sqlite.ts'
import { noteOf } from './note-store-suite.ts'

const store = openMemory(process.argv[2] ?? '')
for (let n = 1; ; n++) {
  await store.put([noteOf(`note ${n}`)], new AbortController().signal)
  process.send?.(n)
  await new Promise((resolve) => setImmediate(resolve))
}
