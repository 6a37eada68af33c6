import { link, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fetchModel, type ModelFiles } from './model-store.ts'
import { sha256 } from './testing/hub-server.ts'
import { settle } from './testing/signals.ts'
import { CONFIG, put, storeFixture, WEIGHTS, type Limit, type StoreFixture } from './testing/store-fixture.ts'

const FILE = 'onnx/model.onnx'
const never = new AbortController().signal
const ignore = (): void => undefined

const fetchFrom = ({ spec, options }: StoreFixture): Promise<ModelFiles> => fetchModel(spec, options, ignore, never)
const ranges = ({ hub }: StoreFixture): (string | undefined)[] =>
  hub
    .requestsFor('GET', FILE)
    .filter(({ origin }) => origin === 'cdn')
    .map(({ headers }) => headers.range)
const blobs = ({ cacheDir }: StoreFixture): string => join(cacheDir, 'models--openai--tiny', 'blobs')
const locks = ({ cacheDir }: StoreFixture): string => join(cacheDir, '.locks', 'models--openai--tiny')
const incomplete = (fixture: StoreFixture): string => join(blobs(fixture), `${sha256(WEIGHTS)}.incomplete`)

async function expectGood(fixture: StoreFixture, files: ModelFiles): Promise<void> {
  expect(files.source).toBe('hub')
  expect(Buffer.compare(await readFile(join(files.dir, FILE)), WEIGHTS)).toBe(0)
  expect((await readdir(blobs(fixture))).filter((name) => name.includes('.'))).toEqual([])
}

/** Aborts a fetch once `bytes` of the weights are on disk beside the whole configuration, as a process that was killed leaves it. */
async function fetchPart(fixture: StoreFixture, bytes: number): Promise<void> {
  fixture.hub.fail({ kind: 'slow', pieceBytes: bytes }, { method: 'GET', file: FILE })
  const leaving = new AbortController()
  const onProgress = (progress: { bytes: number }): void => {
    if (progress.bytes >= bytes + CONFIG.byteLength) leaving.abort(new Error('killed'))
  }
  fixture.hub.release()
  await expect(fetchModel(fixture.spec, fixture.options, onProgress, leaving.signal)).rejects.toThrow('killed')
  fixture.hub.heal()
  // The dead hold no lock and write no more.
  while ((await readdir(locks(fixture))).length > 0) await settle()
}

test('an interrupted download goes on where it stopped, and counts what it had as progress', async () => {
  const fixture = await storeFixture()
  await fetchPart(fixture, 1_000_000)
  const seen: number[] = []
  const files = await fetchModel(fixture.spec, fixture.options, ({ bytes }) => seen.push(bytes), never)
  await expectGood(fixture, files)
  expect(files.downloadedBytes).toBe(WEIGHTS.byteLength - 1_000_000)
  expect(ranges(fixture)).toEqual([undefined, 'bytes=1000000-'])
  expect(seen.find((bytes) => bytes > 100)).toBeGreaterThanOrEqual(1_000_000)
})

test.for(['ignore-range', 'wrong-range'] as const)('a hub with %s does not spoil a resumed file', async (kind) => {
  const fixture = await storeFixture()
  await fetchPart(fixture, 1_000_000)
  fixture.hub.fail({ kind }, { method: 'GET', file: FILE, times: 1 })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(fixture.log()).not.toContain('does not match its hash')
})

test('starting over leaves alone what another process may have made of the unfinished file', async () => {
  const fixture = await storeFixture()
  await fetchPart(fixture, 1_000_000)
  const other = join(fixture.dir, 'other')
  await link(incomplete(fixture), other)
  fixture.hub.fail({ kind: 'ignore-range' }, { method: 'GET', file: FILE, times: 1 })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(await readFile(other)).toHaveLength(1_000_000)
})

test('an unfinished file that is longer than the real one is thrown away', async () => {
  const fixture = await storeFixture()
  await put(incomplete(fixture), new Uint8Array(WEIGHTS.byteLength + 1))
  await expectGood(fixture, await fetchFrom(fixture))
})

test('an unfinished file that has all bytes is checked and kept without a transfer', async () => {
  const fixture = await storeFixture()
  await put(incomplete(fixture), WEIGHTS)
  await expectGood(fixture, await fetchFrom(fixture))
  expect(ranges(fixture)).toEqual([])
})

test('an unfinished file with wrong content is found out by the hash and fetched whole', async () => {
  const fixture = await storeFixture()
  await put(incomplete(fixture), new Uint8Array(1_000_000))
  await expectGood(fixture, await fetchFrom(fixture))
  expect(ranges(fixture)).toEqual(['bytes=1000000-', undefined])
})

test.for(['reset', 'short-body'] as const)('a transfer that ends with %s goes on by range', async (kind) => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind, bytes: 500_000 }, { method: 'GET', file: FILE, times: 1 })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(ranges(fixture)).toHaveLength(2)
  expect(fixture.pausesMs).toEqual([500])
})

/** The ends, the neighbours of what sockets and disks take at once, and some of no meaning at all. */
const OFFSETS = [0, 1, 2, 4095, 4096, 16_383, 16_384, 65_535, 65_536, 65_537, 131_072]
const size = WEIGHTS.byteLength
for (let at = 1; at <= 24; at++) OFFSETS.push(Math.floor(size * ((at * Math.SQRT2) % 1)))
OFFSETS.push(size - 65_536, size - 2, size - 1)

test.for(['reset', 'short-body'] as const)(
  'a transfer may end with %s at any byte',
  { timeout: 60_000 },
  async (kind) => {
    for (const bytes of OFFSETS) {
      const fixture = await storeFixture()
      fixture.hub.fail({ kind, bytes }, { method: 'GET', times: 2 })
      await expectGood(fixture, await fetchFrom(fixture))
      expect(fixture.log(), `cut at byte ${bytes}`).not.toContain('does not match its hash')
    }
  },
)

test('a process may end at any byte of a file', { timeout: 60_000 }, async () => {
  for (const bytes of [...OFFSETS, size]) {
    const fixture = await storeFixture()
    await put(incomplete(fixture), WEIGHTS.subarray(0, bytes))
    await expectGood(fixture, await fetchFrom(fixture))
    const missing = bytes === 0 ? [undefined] : [`bytes=${bytes}-`]
    expect(ranges(fixture), `cut at byte ${bytes}`).toEqual(bytes === size ? [] : missing)
  }
})

test('a transfer that stalls is given up after the limit and goes on by range', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'stall', bytes: 500_000 }, { method: 'GET', file: FILE, times: 1 })
  let hasStalled = false
  const onProgress = ({ bytes }: { bytes: number }): void => {
    if (hasStalled || bytes < 500_000 + CONFIG.byteLength) return
    hasStalled = true
    // The limit starts anew after each chunk.
    setImmediate(() => fixture.limits.forEach(({ fire }) => fire()))
  }
  await expectGood(fixture, await fetchModel(fixture.spec, fixture.options, onProgress, never))
  expect(ranges(fixture)).toEqual([undefined, 'bytes=500000-'])
  expect(fixture.log()).toContain('no bytes for 30000 ms')
  expect(fixture.limits.size).toBe(0)
})

test('the limit on a stall starts anew with each chunk', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { method: 'GET', file: FILE })
  const { promise, resolve } = Promise.withResolvers<void>()
  const seen: Limit[][] = []
  const onProgress = ({ bytes }: { bytes: number }): void => {
    seen.push([...fixture.limits])
    if (bytes === 1_000_000) setImmediate(resolve)
  }
  const spec = { ...fixture.spec, files: [FILE] }
  const fetching = fetchModel(spec, fixture.options, onProgress, never)
  fixture.hub.release()
  await promise
  expect(seen[0]).toHaveLength(1)
  expect([...fixture.limits]).toHaveLength(1)
  expect([...fixture.limits]).not.toContain(seen.at(-1)?.[0])
  fixture.hub.release()
  fixture.hub.release()
  await fetching
})

test.for(['wrong-bytes', 'unpromised-bytes'] as const)('content with %s is fetched once more', async (kind) => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind }, { method: 'GET', file: FILE, times: 1 })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(ranges(fixture)).toEqual([undefined, undefined])
})

test('content that is wrong twice fails, and none of it stays', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'wrong-bytes' }, { method: 'GET', file: FILE })
  await expect(fetchFrom(fixture)).rejects.toMatchObject({
    code: 'model_failed',
    message: expect.stringMatching(/got other content twice/),
  })
  expect(ranges(fixture)).toHaveLength(2)
  expect((await readdir(blobs(fixture))).filter((name) => name.includes(sha256(WEIGHTS)))).toEqual([])
})

test('small files are checked against their Git hash', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'wrong-bytes' }, { method: 'GET', file: 'config.json' })
  await expect(fetchFrom(fixture)).rejects.toMatchObject({
    code: 'model_failed',
    message: expect.stringMatching(/config\.json/),
  })
})

test('a web page instead of the file is not stored, and costs nothing of what was there', async () => {
  const fixture = await storeFixture()
  await fetchPart(fixture, 1_000_000)
  fixture.hub.fail({ kind: 'html' }, { method: 'GET', file: FILE })
  await expect(fetchFrom(fixture)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  expect(Buffer.compare(await readFile(incomplete(fixture)), WEIGHTS.subarray(0, 1_000_000))).toBe(0)
})

test('a hub that breaks off again and again with little progress is given up', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'reset', bytes: 1000 }, { method: 'GET', file: FILE })
  await expect(fetchFrom(fixture)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  expect(fixture.pausesMs).toEqual([500, 1000, 2000, 4000, 8000])
})

test('breaks with a megabyte between them are no failures in a row', async () => {
  const fixture = await storeFixture()
  // More than a megabyte each: of what was sent just before a break, the last buffer may be lost.
  fixture.hub.fail({ kind: 'short-body', bytes: 1_450_000 }, { method: 'GET', file: FILE, times: 2 })
  const options = { ...fixture.options, retries: 1 }
  await expectGood(fixture, await fetchModel(fixture.spec, options, ignore, never))
})

test('a hub that ignores ranges and always breaks off is given up too', async () => {
  const fixture = await storeFixture()
  // Answers whole, promises whole, ends early: the same first two megabytes each time.
  const answer: typeof fetch = async (url, init) => {
    const response = await fetch(url, { ...init, headers: withoutRange(init?.headers) })
    if (init?.method !== 'GET' || !response.url.includes('/cdn/')) return response
    const head = new Uint8Array(await response.arrayBuffer()).subarray(0, 2_000_000)
    return new Response(head, { headers: { 'content-length': String(size) } })
  }
  const options = { ...fixture.options, fetch: answer }
  await expect(fetchModel(fixture.spec, options, ignore, never)).rejects.toMatchObject({
    code: 'dependency_unavailable',
    message: expect.stringMatching(/ended at byte 2000000 of 3000000/),
  })
})

test('a store that refuses an address that ran out is asked for by way of the hub again', async () => {
  const fixture = await storeFixture()
  fixture.hub.fail({ kind: 'status', status: 403 }, { method: 'GET', file: FILE, times: 1 })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(fixture.hub.requestsFor('GET', FILE).map(({ origin }) => origin)).toEqual(['hub', 'cdn', 'hub', 'cdn'])
})

test('without a hash or a size to check, what came in order is kept', async () => {
  const fixture = await storeFixture()
  const headers = { 'x-linked-etag': 'W/"an-opinion"', 'x-linked-size': null }
  fixture.hub.fail({ kind: 'headers', headers }, { method: 'HEAD', file: FILE })
  await expectGood(fixture, await fetchFrom(fixture))
  expect(await readdir(blobs(fixture))).toContain('an-opinion')
})

test('a weak etag is not taken for a hash, even when it looks like one', async () => {
  const fixture = await storeFixture()
  const headers = { 'x-linked-etag': `W/"${'0'.repeat(64)}"` }
  fixture.hub.fail({ kind: 'headers', headers }, { method: 'HEAD', file: FILE })
  await expectGood(fixture, await fetchFrom(fixture))
})

test('a full disk is storage_full, and leaves no unfinished file', async () => {
  const fixture = await storeFixture()
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' })
  const answer: typeof fetch = async (url, init) => {
    if (init?.method !== 'GET') return fetch(url, init)
    const body = new ReadableStream({
      pull: (controller) => controller.error(full),
      start: (controller) => controller.enqueue(WEIGHTS.subarray(0, 1000)),
    })
    return new Response(body)
  }
  const fetching = fetchModel(fixture.spec, { ...fixture.options, fetch: answer }, ignore, never)
  await expect(fetching).rejects.toMatchObject({ code: 'storage_full', message: expect.stringMatching(/openai\/tiny/) })
  expect(await readdir(blobs(fixture))).toEqual([])
})

function withoutRange(headers: RequestInit['headers']): Headers {
  const copy = new Headers(headers)
  copy.delete('range')
  return copy
}
