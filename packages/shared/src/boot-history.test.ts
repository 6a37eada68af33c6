import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import type { ModelStatus } from './api.ts'
import { bootsPath, BootHistory, readBoots } from './boot-history.ts'
import { releaseOf } from './release.ts'
import { readyModel } from './testing/model-status.ts'

const log = pino({ level: 'silent' })
const sources = new URL('./testing/', import.meta.url)

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-boots-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

const started = (readyMs: number): ModelStatus => ({
  ...readyModel('demo/whisper'),
  boot: {
    startedAt: new Date(0).toISOString(),
    bytes: 10,
    downloadedBytes: 0,
    fetchMs: 1,
    loadMs: 2,
    warmUpMs: 3,
    readyMs,
    residentBytesBefore: 4,
    residentBytesAfter: 5,
  },
})

const historyIn = (home: string) => new BootHistory({ home, service: 'stt', sources, log })
const readyMs = (entries: readonly { readyMs: number | null }[]) => entries.map((entry) => entry.readyMs)

test('starts are kept for the next process, with what else tells why one was slow', async () => {
  const home = await folder()
  await historyIn(home).record(started(100))
  const next = historyIn(home)
  expect(readyMs(await next.last())).toEqual([100])
  await next.record(started(200))
  const [, last] = await historyIn(home).last()
  expect(last).toMatchObject({
    service: 'stt',
    model: 'demo/whisper',
    source: 'demo',
    readyMs: 200,
    secondInferenceMs: 1,
  })
  expect(last?.release).toMatch(/^[0-9a-f]{12}$/)
  expect(last?.machineUpSeconds).toBeGreaterThan(0)
})

test('is bounded, and a line that was cut off costs only itself', async () => {
  const home = await folder()
  const history = historyIn(home)
  await history.record(started(1))
  await appendFile(bootsPath(home, 'stt'), '{"service":"st\n')
  for (let count = 2; count <= 60; count++) await history.record(started(count))
  const kept = readyMs(await readBoots(bootsPath(home, 'stt')))
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([50, 11, 60])
  expect(readyMs(await history.last())).toEqual([51, 52, 53, 54, 55, 56, 57, 58, 59, 60])
  expect(await readdir(join(home, 'boots'))).toEqual(['stt.jsonl'])
})

test('writers at the same time lose nothing of each other', async () => {
  const home = await folder()
  await Promise.all([1, 2, 3, 4].map((count) => historyIn(home).record(started(count))))
  expect(new Set(readyMs(await readBoots(bootsPath(home, 'stt'))))).toEqual(new Set([1, 2, 3, 4]))
}, 20_000)

test('several processes lose nothing of each other', async () => {
  const home = await folder()
  const script = `
    import { BootHistory } from ${JSON.stringify(new URL('./boot-history.ts', import.meta.url).href)}
    const [home, status] = process.argv.slice(1)
    const log = { info: ({ err }) => { throw err } }
    const history = new BootHistory({ home, service: 'stt', sources: new URL(${JSON.stringify(pathToFileURL(home).href)}), log })
    for (let count = 0; count < 3; count++) await history.record(JSON.parse(status))`
  const run = () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, home, JSON.stringify(started(7))])
  await Promise.all([run(), run(), run()])
  expect(await readBoots(bootsPath(home, 'stt'))).toHaveLength(9)
}, 60_000)

test('where nothing can be written the start is still told, and that is no failure', async () => {
  const home = await folder()
  await writeFile(join(home, 'boots'), 'a file where the folder would be')
  const history = historyIn(home)
  await history.record(started(5))
  expect(readyMs(await history.last())).toEqual([5])
})

test.skipIf(process.getuid?.() === 0)('a folder that is read-only is no failure either', async () => {
  const home = await folder()
  await mkdir(join(home, 'boots'))
  await chmod(join(home, 'boots'), 0o500)
  const history = historyIn(home)
  await history.record(started(5))
  expect(readyMs(await history.last())).toEqual([5])
})

test('a release is known by its sources, whatever their tests say', async () => {
  const dir = await folder()
  const url = pathToFileURL(`${dir}/`)
  await writeFile(join(dir, 'a.ts'), '1')
  const first = await releaseOf(url)
  await writeFile(join(dir, 'a.test.ts'), '1')
  expect(await releaseOf(url)).toBe(first)
  await writeFile(join(dir, 'a.ts'), '2')
  expect(await releaseOf(url)).not.toBe(first)
})
