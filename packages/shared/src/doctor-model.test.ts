import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, type TestContext } from 'vitest'
import type { Finding, ModelStatus } from './api.ts'
import { diagnose } from './doctor.ts'
import { memoryCheck } from './doctor-memory.ts'
import { modelChecks, type ModelToExamine, optionalModelChecks } from './doctor-model.ts'
import { progressOf } from './model-status.ts'
import { fetchModel, type StoreOptions } from './model-store.ts'
import { readyModel } from './testing/model-status.ts'
import { never } from './testing/signals.ts'
import { CONFIG, put, storeFixture, type StoreFixture, WEIGHTS } from './testing/store-fixture.ts'

const FILE = 'onnx/model.onnx'

async function examine(
  { spec, options }: Pick<StoreFixture, 'spec' | 'options'>,
  store: Partial<StoreOptions> = {},
  more: Partial<ModelToExamine> = {},
): Promise<Record<string, Finding>> {
  const model = { service: 'stt', spec, boots: async () => [], status: () => null, ...more }
  const found = await diagnose('stt', modelChecks({ ...model, store: { ...options, ...store } }))
  return Object.fromEntries(found.map((finding) => [finding.check, finding]))
}

const fill = ({ spec, options }: StoreFixture) => fetchModel(spec, options, () => undefined, never)

describe('the files of a model', () => {
  test('that are all here and undamaged need no hub', async () => {
    const fixture = await storeFixture()
    await fill(fixture)
    fixture.hub.requests.length = 0
    const found = await examine(fixture)
    expect(found['model files']).toMatchObject({ status: 'ok', detail: 'openai/tiny: 3.0 MB, complete and undamaged' })
    expect(found['model hub']).toMatchObject({ status: 'skipped' })
    expect([found['model volume']?.status, found['disk space']?.status]).toEqual(['ok', 'ok'])
    expect(fixture.hub.requests).toEqual([])
  })

  test('that are damaged are named, with what brings them anew', async () => {
    const fixture = await storeFixture()
    const { dir } = await fill(fixture)
    expect((await examine(fixture))['model files']?.status).toBe('ok')
    const bytes = await readFile(join(dir, FILE))
    await writeFile(join(dir, FILE), bytes.fill(7, 1000, 1001))
    const found = await examine(fixture)
    expect(found['disk space']?.detail).toMatch(/ 3\.0 MB to be downloaded$/)
    expect(found['model files']).toMatchObject({
      status: 'failed',
      detail: `openai/tiny: ${FILE} is damaged, not what the hub has`,
      remedy: expect.stringContaining('npm run models pull stt'),
    })
  })

  test('are read again only after they changed', async () => {
    const fixture = await storeFixture()
    const { dir } = await fill(fixture)
    const path = join(dir, FILE)
    const past = new Date(0)
    await utimes(path, past, past)
    await examine(fixture)
    const bytes = await readFile(path)
    await writeFile(path, bytes.fill(7, 1000, 1001))
    await utimes(path, past, past)
    expect((await examine(fixture))['model files']?.status).toBe('ok')
    await utimes(path, past, new Date())
    expect((await examine(fixture))['model files']?.status).toBe('failed')
  })

  test('that are missing are reckoned from what the hub says of them', async () => {
    const fixture = await storeFixture()
    const found = await examine(fixture)
    expect(found['model files']).toMatchObject({
      status: 'warning',
      detail: 'openai/tiny is not here; the next start downloads it',
      remedy: expect.stringContaining('npm run models pull stt'),
    })
    expect(found['model hub']).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^127\.0\.0\.1:\d+ answers$/),
    })
    expect(found['disk space']).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/ free, 3\.0 MB to be downloaded$/),
    })
    expect(fixture.hub.requests.every(({ method }) => method === 'HEAD')).toBe(true)
  })

  test('and a hub that is away, or does not have them, are two failures with two remedies', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status: 401 })
    expect((await examine(fixture))['model hub']).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/answers, but the hub answered 401/),
      remedy: 'correct the model, its revision, or HF_TOKEN',
    })
    fixture.hub.close()
    const found = await examine(fixture)
    expect(found['model hub']).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/can't be reached/),
      remedy: expect.stringMatching(/HF_ENDPOINT/),
    })
    expect(found['disk space']).toMatchObject({ status: 'skipped' })
    const offline = await examine(fixture, { offline: true })
    expect(offline['model hub']).toMatchObject({ status: 'skipped', detail: 'HF_HUB_OFFLINE is set' })
    expect(offline['model files']).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/HF_HUB_OFFLINE is set$/),
    })
  })

  test('in a folder of one’s own are only asked for', async () => {
    const fixture = await storeFixture()
    const localDir = join(fixture.dir, 'mine')
    await put(join(localDir, 'config.json'), CONFIG)
    const found = await examine(fixture, { localDir })
    expect(found['model files']).toMatchObject({
      status: 'failed',
      remedy: `put the model's files into ${localDir}, or name another folder (STT_MODEL_DIR)`,
    })
    await put(join(localDir, FILE), WEIGHTS)
    expect((await examine(fixture, { localDir }))['model files']?.status).toBe('ok')
  })

  test('of a model that nobody needs now are no matter, which is asked once', async () => {
    let asked = 0
    const isNeeded = () => asked++ > 0
    const found = await examine(await storeFixture(), {}, { isNeeded })
    expect(Object.values(found).map(({ status }) => status)).toEqual(Array(6).fill('skipped'))
    expect(asked).toBe(1)
  })

  test('of a model without which all goes on are no failure', async () => {
    const { spec, options } = await storeFixture()
    const look = async (store: StoreOptions) => {
      const status = () => ({ ...readyModel('org/m'), state: 'failed' as const, error: 'no space' })
      const found = await diagnose('orchestrator', optionalModelChecks({ service: 'turn', spec, store, status }))
      return found.map(({ check, status: how }) => `${check}: ${how}`)
    }
    const localDir = join(options.cacheDir, 'nowhere')
    expect(await look({ ...options, localDir })).toEqual(['turn model: warning', 'turn model files: warning'])
    await fetchModel(spec, options, () => undefined, never)
    expect(await look(options)).toEqual(['turn model: warning', 'turn model files: ok'])
  })
})

test('a model that runs tells how: ready, on its way, as a stand-in, or not at all', async () => {
  const fixture = await storeFixture()
  const told = async (change: Partial<ModelStatus>) => {
    const status = { ...readyModel('org/m'), source: 'cache' as const, ...change }
    const { model } = await examine(fixture, { offline: true }, { status: () => status })
    return [model?.status, model?.detail]
  }
  const progress = progressOf({ bytes: 1, totalBytes: 2, downloadedBytes: 1 }, null, 0)
  expect(await told({})).toEqual(['ok', 'org/m is ready'])
  expect(await told({ state: 'fetching', progress })).toEqual(['ok', 'org/m is on its way: downloading, 50 %'])
  expect(await told({ id: 'demo/tiny', source: 'demo' })).toEqual([
    'warning',
    'demo/tiny, a small stand-in, answers instead of openai/tiny',
  ])
  expect(await told({ state: 'failed', error: 'no space' })).toEqual(['failed', 'org/m: no space; it is tried again'])
})

/** A file system of its own at `at`, until the test ends; where that is not allowed the test is skipped. */
function mount({ skip }: TestContext, at: string, options: string): void {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { stdio: 'ignore' })
  } catch {
    skip('no disk can be mounted here')
  }
  onTestFinished(() => void execFileSync('umount', [at], { stdio: 'ignore' }))
}

describe('the volume', () => {
  test('that is read-only is a failure only while files are missing', async (context) => {
    const fixture = await storeFixture()
    await mkdir(fixture.cacheDir)
    mount(context, fixture.cacheDir, 'ro')
    const found = await examine(fixture)
    expect(found['model volume']).toMatchObject({
      status: 'failed',
      detail: `${fixture.cacheDir} can't be written (EROFS), and files are missing`,
      remedy: `mount the disk of ${fixture.cacheDir} writable, or name another folder with HF_HOME`,
    })
    execFileSync('mount', ['-o', 'remount,rw', fixture.cacheDir])
    await fill(fixture)
    execFileSync('mount', ['-o', 'remount,ro', fixture.cacheDir])
    expect((await examine(fixture))['model volume']).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/read-only/),
    })
  })

  test('that is too small whatever is missing says so, though the hub can not be asked', async (context) => {
    const fixture = await storeFixture()
    await mkdir(fixture.cacheDir)
    mount(context, fixture.cacheDir, 'size=2m')
    fixture.hub.close()
    const found = await examine(fixture)
    expect(found['disk space']).toMatchObject({
      status: 'warning',
      detail: '2.1 MB free; what is missing is not known without the hub',
      remedy: `free at least 198 MB on the disk of ${fixture.cacheDir}, or move it with HF_HOME`,
    })
    expect(found['model hub']?.detail).toMatch(/can't be reached/)
  })

  test('that is too small for what is missing says how much to free', async (context) => {
    const fixture = await storeFixture()
    await mkdir(fixture.cacheDir)
    mount(context, fixture.cacheDir, 'size=2m')
    expect((await examine(fixture))['disk space']).toMatchObject({
      status: 'failed',
      detail: '2.1 MB free, 3.0 MB to be downloaded',
      remedy: `free 201 MB on the disk of ${fixture.cacheDir}, or move it with HF_HOME`,
    })
  })

  test('that is full is told with that as the reason', async (context) => {
    const fixture = await storeFixture()
    await mkdir(fixture.cacheDir)
    mount(context, fixture.cacheDir, 'size=64k')
    await writeFile(join(fixture.cacheDir, 'filler'), new Uint8Array(1e6)).catch(() => undefined)
    const found = await examine(fixture)
    expect(found['model volume']).toMatchObject({ status: 'failed', remedy: expect.stringMatching(/^free some space/) })
    await rm(join(fixture.cacheDir, 'filler'))
  })
})

describe('memory', () => {
  const files = { state: 'complete', files: [], bytes: 300e6 } as const
  const boot = { residentBytesAfter: 700e6, bytes: 300e6 } as ModelStatus['boot']
  const running: ModelStatus = { ...readyModel('org/m'), ...(boot && { boot }) }

  test('of a model that runs is what it was measured to use, and what is left', () => {
    expect(memoryCheck(running, files, [], 1e9)).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/had 700 MB then, 1\.0 GB left now/),
    })
    expect(memoryCheck(running, files, [], 50e6)).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/50 MB left/),
    })
  })

  test('for a model that does not run is what its last start used, else reckoned from its files', () => {
    const boots = [{ residentBytesAfter: 500e6, bytes: 300e6 }]
    expect(memoryCheck(null, files, boots, 1e9)).toMatchObject({ status: 'ok', detail: '500 MB needed, 1.0 GB left' })
    expect(memoryCheck(null, files, [], 0.8e9)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^800 MB needed \(reckoned/),
    })
    expect(memoryCheck(null, { ...files, bytes: 0 }, [], 1e9)).toMatchObject({ status: 'skipped' })
    expect(memoryCheck(null, { ...files, bytes: 0 }, [], 0.1e9)).toMatchObject({ status: 'warning' })
  })
})
