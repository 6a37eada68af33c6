/**
 * The cache on volumes that are full or read-only: mounts in a namespace of their own, which need no rights on the machine. Where there are
 * none (not Linux, or forbidden), these tests are listed as skipped.
 */
import { execFile, spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { fetchModel, type ModelSpec } from './model-store.ts'
import { storeFixture, WEIGHTS, type StoreFixture } from './testing/store-fixture.ts'

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0
const program = new URL('./testing/fetch-process.ts', import.meta.url).pathname
const LIMIT_MS = 30_000
const never = new AbortController().signal
const READ_ONLY = 'mount --bind "$dir" "$dir"\nmount -o remount,bind,ro "$dir"'

/** Runs shell commands in which `fetch` is a process that fetches `spec` into `$dir/hub`; gives what they print, without progress. */
async function onMounts({ hub, dir, cacheDir }: StoreFixture, spec: ModelSpec, commands: string): Promise<string[]> {
  const wanted = JSON.stringify({ spec, cacheDir, endpoint: hub.endpoint })
  const script = `fetch() { "$node" "$program" "$wanted"; }\n${commands}`
  const env = { ...process.env, dir, node: process.execPath, program, wanted }
  const { stdout } = await promisify(execFile)('unshare', ['-rm', 'sh', '-ec', script], { env, timeout: LIMIT_MS })
  return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('{"bytes"'))
}

describe.skipIf(!canMount)('a volume', { timeout: LIMIT_MS }, () => {
  test('that is full is storage_full, is left as empty as it was, and serves once there is room', async () => {
    const fixture = await storeFixture()
    const files = ['onnx/model.onnx', 'onnx/other.onnx', 'config.json']
    fixture.hub.files.set('onnx/other.onnx', { content: WEIGHTS.toReversed(), isLarge: true })
    const lines = await onMounts(
      fixture,
      { ...fixture.spec, files },
      `mount -t tmpfs -o size=1m none "$dir"
       fetch
       find "$dir" -name '*.onnx' -o -name '*.incomplete'
       mount -o remount,size=16m "$dir"
       fetch`,
    )
    expect(lines).toHaveLength(2)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ code: 'storage_full' })
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ source: 'hub' })
  })

  test('that is read-only serves what it has', async () => {
    const fixture = await storeFixture()
    await fetchModel(fixture.spec, fixture.options, () => undefined, never)
    fixture.hub.requests.length = 0
    const lines = await onMounts(fixture, fixture.spec, `${READ_ONLY}\nfetch`)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ source: 'cache' })
    expect(fixture.hub.requests).toEqual([])
  })

  test('that is read-only and lacks a file is a clear error', async () => {
    const fixture = await storeFixture()
    await fetchModel({ ...fixture.spec, files: ['config.json'] }, fixture.options, () => undefined, never)
    const lines = await onMounts(fixture, fixture.spec, `${READ_ONLY}\nfetch`)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      code: 'model_failed',
      message: expect.stringMatching(/can't be written \(EROFS\)/),
    })
    expect(await readdir(join(fixture.cacheDir, 'models--openai--tiny', 'blobs'))).toHaveLength(1)
  })
})
