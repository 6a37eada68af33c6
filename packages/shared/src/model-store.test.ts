import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from './testing/eventually.ts'
import type { FetchProgress } from './model-status.ts'
import { discardModel, fetchModel, verifyCached, type ModelFiles, type StoreOptions } from './model-store.ts'
import { gitBlobSha1, sha256 } from './testing/hub-server.ts'
import { CONFIG, put, storeFixture, WEIGHTS, type StoreFixture } from './testing/store-fixture.ts'

const FILE = 'onnx/model.onnx'
const never = new AbortController().signal
const ignore = (): void => undefined

const fetchFrom = ({ spec, options }: StoreFixture, change: Partial<StoreOptions> = {}): Promise<ModelFiles> =>
  fetchModel(spec, { ...options, ...change }, ignore, never)
const repo = ({ cacheDir }: StoreFixture): string => join(cacheDir, 'models--openai--tiny')
const snapshot = (fixture: StoreFixture): string => join(repo(fixture), 'snapshots', fixture.hub.commit)

/** What huggingface_hub leaves behind after snapshot_download. */
async function fillCache(fixture: StoreFixture): Promise<void> {
  await put(join(repo(fixture), 'refs', 'main'), fixture.hub.commit)
  await put(join(repo(fixture), 'blobs', gitBlobSha1(CONFIG)), CONFIG)
  await put(join(repo(fixture), 'blobs', sha256(WEIGHTS)), WEIGHTS)
  await mkdir(join(snapshot(fixture), 'onnx'), { recursive: true })
  await symlink(`../../blobs/${gitBlobSha1(CONFIG)}`, join(snapshot(fixture), 'config.json'))
  await symlink(`../../../blobs/${sha256(WEIGHTS)}`, join(snapshot(fixture), FILE))
}

async function addDemo({ options }: StoreFixture): Promise<void> {
  await put(join(options.demoDir, 'tiny', 'config.json'), '{}')
}

describe('local folder', () => {
  test('is used as it is, before cache and hub', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    const localDir = join(fixture.dir, 'mine')
    for (const file of fixture.spec.files) await put(join(localDir, file), 'x')
    const files = await fetchFrom(fixture, { localDir })
    expect(files).toEqual({
      dir: localDir,
      source: 'local',
      revision: null,
      id: 'openai/tiny',
      warning: null,
      bytes: 2,
      downloadedBytes: 0,
    })
    expect(fixture.hub.requests).toEqual([])
  })

  test('without all files is an error that names the missing one', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    const localDir = join(fixture.dir, 'mine')
    await put(join(localDir, 'config.json'), '{}')
    await put(join(localDir, FILE), '')
    await expect(fetchFrom(fixture, { localDir })).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringMatching(/local folder "mine", onnx\/model\.onnx is missing or empty/),
    })
  })
})

describe('cache', () => {
  test('filled by huggingface_hub is found by its ref, without a word to the hub', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    const { commit } = fixture.hub
    const bytes = CONFIG.byteLength + WEIGHTS.byteLength
    const found = { dir: snapshot(fixture), source: 'cache', revision: commit, id: 'openai/tiny', warning: null }
    const expected = { ...found, bytes, downloadedBytes: 0 }
    expect(await fetchFrom(fixture)).toEqual(expected)
    expect(await fetchFrom(fixture, { offline: true })).toEqual(expected)
    expect(fixture.hub.requests).toEqual([])
  })

  test('is found by a commit without any ref', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    await rm(join(repo(fixture), 'refs'), { recursive: true })
    const spec = { ...fixture.spec, revision: fixture.hub.commit }
    expect(await fetchModel(spec, fixture.options, ignore, never)).toMatchObject({ source: 'cache' })
    expect(fixture.hub.requests).toEqual([])
  })

  test('that lacks one file is completed with only that file', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    await rm(join(snapshot(fixture), 'config.json'))
    await rm(join(repo(fixture), 'blobs', gitBlobSha1(CONFIG)))
    expect(await fetchFrom(fixture)).toMatchObject({ source: 'hub', dir: snapshot(fixture) })
    expect(fixture.hub.requestsFor('GET', FILE)).toEqual([])
    expect(await readFile(join(snapshot(fixture), 'config.json'))).toEqual(Buffer.from(CONFIG))
  })

  test('with a blob that another revision brought links it instead of fetching it', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    await rm(join(repo(fixture), 'snapshots'), { recursive: true })
    await fetchFrom(fixture)
    expect(fixture.hub.requests.filter(({ method }) => method === 'GET')).toEqual([])
  })

  test.for([0, 1000])('with a file cut to %d bytes is repaired from the hub', async (length) => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    await put(join(repo(fixture), 'blobs', sha256(WEIGHTS)), WEIGHTS.subarray(0, length))
    // A file that still has bytes is only looked at when the model could not be loaded.
    if (length > 0) await discardModel(await fetchFrom(fixture), fixture.cacheDir)
    const files = await fetchFrom(fixture)
    expect(files.source).toBe('hub')
    expect(Buffer.compare(await readFile(join(files.dir, FILE)), WEIGHTS)).toBe(0)
  })
})

describe('a model that failed to load', () => {
  test('is fetched again as far as it is damaged, and the damaged blob is gone once the good one is there', async () => {
    const fixture = await storeFixture()
    await fillCache(fixture)
    const blob = join(repo(fixture), 'blobs', sha256(WEIGHTS))
    await put(blob, WEIGHTS.with(1_500_000, 1 ^ (WEIGHTS[1_500_000] ?? 0)))
    const files = await fetchFrom(fixture)
    const verdicts = await verifyCached(files, fixture.cacheDir)
    expect(Object.fromEntries(verdicts)).toEqual({ 'config.json': 'intact', [FILE]: 'damaged' })
    expect(await discardModel(files, fixture.cacheDir)).toEqual([FILE])
    expect(await readdir(join(blob, '..'))).toEqual([gitBlobSha1(CONFIG), `${sha256(WEIGHTS)}.damaged`].toSorted())
    expect(await fetchFrom(fixture)).toMatchObject({ source: 'hub' })
    expect(await readdir(join(blob, '..'))).toEqual([gitBlobSha1(CONFIG), sha256(WEIGHTS)].toSorted())
    expect(fixture.hub.requestsFor('GET', 'config.json')).toEqual([])
  })

  test('but has the right content is left alone', async () => {
    const fixture = await storeFixture()
    const files = await fetchFrom(fixture)
    expect(await discardModel(files, fixture.cacheDir)).toEqual([])
    expect(await fetchFrom(fixture)).toMatchObject({ source: 'cache' })
  })

  test('is discarded where it is no link and can not be judged', async () => {
    const fixture = await storeFixture()
    await put(join(snapshot(fixture), 'config.json'), CONFIG)
    await put(join(snapshot(fixture), FILE), WEIGHTS)
    const spec = { ...fixture.spec, revision: fixture.hub.commit }
    const files = await fetchModel(spec, fixture.options, ignore, never)
    expect(files.source).toBe('cache')
    expect(await discardModel(files, fixture.cacheDir)).toEqual(expect.arrayContaining([...fixture.spec.files]))
    expect(await fetchModel(spec, fixture.options, ignore, never)).toMatchObject({ source: 'hub' })
  })

  test('is never touched outside the cache, nor through a link that leads out of it', async () => {
    const fixture = await storeFixture()
    const mine = join(fixture.dir, 'mine', sha256(CONFIG))
    await put(mine, WEIGHTS)
    await mkdir(snapshot(fixture), { recursive: true })
    await symlink(mine, join(snapshot(fixture), 'config.json'))
    const files: ModelFiles = {
      dir: snapshot(fixture),
      source: 'cache',
      revision: null,
      id: 'openai/tiny',
      warning: null,
    }
    expect(await discardModel({ ...files, dir: join(fixture.dir, 'mine') }, fixture.cacheDir)).toEqual([])
    expect(await discardModel({ ...files, source: 'local' }, fixture.cacheDir)).toEqual([])
    expect(await discardModel(files, fixture.cacheDir)).toEqual(['config.json'])
    expect(await readdir(join(fixture.dir, 'mine'))).toEqual([sha256(CONFIG)])
  })
})

describe('hub', () => {
  test('fills the cache as huggingface_hub would have', async () => {
    const fixture = await storeFixture()
    const files = await fetchFrom(fixture)
    const { commit } = fixture.hub
    const bytes = CONFIG.byteLength + WEIGHTS.byteLength
    const found = { dir: snapshot(fixture), source: 'hub', revision: commit, id: 'openai/tiny', warning: null }
    expect(files).toEqual({ ...found, bytes, downloadedBytes: bytes })
    expect(await readFile(join(repo(fixture), 'refs', 'main'), 'utf8')).toBe(commit)
    expect(await readlink(join(files.dir, 'config.json'))).toBe(`../../blobs/${gitBlobSha1(CONFIG)}`)
    expect(await readlink(join(files.dir, FILE))).toBe(`../../../blobs/${sha256(WEIGHTS)}`)
    const inSnapshot = ['', '/config.json', '/onnx', '/onnx/model.onnx'].map((path) => `snapshots/${commit}${path}`)
    const inBlobs = ['', `/${gitBlobSha1(CONFIG)}`, `/${sha256(WEIGHTS)}`].map((path) => `blobs${path}`)
    const all = (await readdir(repo(fixture), { recursive: true })).toSorted()
    expect(all).toEqual([...inBlobs, 'refs', 'refs/main', 'snapshots', ...inSnapshot].toSorted())
    expect(await readFile(join(files.dir, 'config.json'))).toEqual(Buffer.from(CONFIG))
    expect(Buffer.compare(await readFile(join(files.dir, FILE)), WEIGHTS)).toBe(0)
  })

  test('is asked for a commit once it has told it, so that a branch that moves mixes nothing', async () => {
    const fixture = await storeFixture()
    await fetchFrom(fixture)
    const revisions = fixture.hub.requests
      .filter(({ origin }) => origin === 'hub')
      .map(({ path }) => path.split('/')[4])
    expect(revisions[0]).toBe('main')
    expect(new Set(revisions.slice(1))).toEqual(new Set([fixture.hub.commit]))
  })

  test('writes no ref for a commit, and a nested one for a pull request', async () => {
    const fixture = await storeFixture()
    await fetchModel({ ...fixture.spec, revision: fixture.hub.commit }, fixture.options, ignore, never)
    expect(await readdir(repo(fixture))).not.toContain('refs')
    await fetchModel({ ...fixture.spec, revision: 'refs/pr/1' }, fixture.options, ignore, never)
    expect(await readFile(join(repo(fixture), 'refs/refs/pr/1'), 'utf8')).toBe(fixture.hub.commit)
    expect(fixture.hub.requests.some(({ path }) => path.includes('/resolve/refs%2Fpr%2F1/'))).toBe(true)
  })

  test('progress covers all files, from the first byte to the last', async () => {
    const fixture = await storeFixture()
    const seen: { bytes: number; totalBytes: number }[] = []
    await fetchModel(fixture.spec, fixture.options, (progress) => seen.push(progress), never)
    const totalBytes = CONFIG.byteLength + WEIGHTS.byteLength
    expect(new Set(seen.map((progress) => progress.totalBytes))).toEqual(new Set([totalBytes]))
    expect(seen.at(0)?.bytes).toBe(0)
    expect(seen.at(-1)?.bytes).toBe(totalBytes)
    expect(seen.length).toBeGreaterThan(10)
  })

  test('optional files come when there are any', async () => {
    const fixture = await storeFixture()
    fixture.hub.files.set('tokenizer.json', { content: CONFIG.toReversed() })
    const spec = { ...fixture.spec, optionalFiles: ['tokenizer.json', 'missing.json'] }
    const files = await fetchModel(spec, fixture.options, ignore, never)
    expect((await readdir(files.dir)).toSorted()).toEqual(['config.json', 'onnx', 'tokenizer.json'])
  })

  test('a snapshot is not taken for whole before the optional files are there', async () => {
    const fixture = await storeFixture()
    fixture.hub.files.set('tokenizer.json', { content: CONFIG.toReversed() })
    fixture.hub.fail({ kind: 'slow', pieceBytes: 1 }, { method: 'GET', file: 'tokenizer.json' })
    const spec = { ...fixture.spec, revision: fixture.hub.commit, optionalFiles: ['tokenizer.json'] }
    const leaving = new AbortController()
    const onProgress = ({ files }: FetchProgress) => void (files?.done === 2 && leaving.abort(new Error('left')))
    await expect(fetchModel(spec, fixture.options, onProgress, leaving.signal)).rejects.toThrow('left')
    fixture.hub.heal()
    const files = await fetchModel(spec, fixture.options, ignore, never)
    expect(files.source).toBe('hub')
    expect(await readdir(files.dir)).toContain('tokenizer.json')
  })

  test('files come a few at a time, with the largest among the first, and progress counts them', async () => {
    const fixture = await storeFixture()
    const small = Array.from({ length: 6 }, (_, at) => `voices/${at}.bin`)
    for (const [at, file] of small.entries()) fixture.hub.files.set(file, { content: CONFIG.with(0, at) })
    fixture.hub.fail({ kind: 'slow', pieceBytes: WEIGHTS.byteLength }, { method: 'GET' })
    const seen: FetchProgress[] = []
    const spec = { ...fixture.spec, optionalFiles: small }
    const fetching = fetchModel(spec, fixture.options, (progress) => seen.push(progress), never)
    const begun = () => new Set(fixture.hub.requests.filter(({ method }) => method === 'GET').map(({ path }) => path))
    await eventually(() => expect(fixture.hub.requestsFor('GET', FILE)).toHaveLength(2))
    await eventually(() => expect(begun().size).toBe(4 + 1))
    for (let file = 0; file < 8; file++) fixture.hub.release()
    await fetching
    expect(begun().size).toBe(8 + 1)
    const done = seen.map(({ files }) => files?.done ?? 0)
    expect(done).toEqual(done.toSorted((a, b) => a - b))
    expect(seen.at(-1)?.files).toEqual({ done: 8, total: 8 })
  })

  test('one file that fails ends the others, and their parts stay for the next time', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { method: 'GET', file: FILE })
    fixture.hub.fail({ kind: 'status', status: 403 }, { method: 'GET', file: 'config.json' })
    fixture.hub.release()
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringMatching(/config\.json/),
    })
    expect(await readdir(repo(fixture))).not.toContain('refs')
    fixture.hub.heal()
    expect(await fetchFrom(fixture)).toMatchObject({ source: 'hub' })
  })

  test('what it brought is used ever after without a request, online, pinned or offline', async () => {
    const fixture = await storeFixture()
    const spec = { ...fixture.spec, optionalFiles: ['missing.json'] }
    await fetchModel(spec, fixture.options, ignore, never)
    fixture.hub.requests.length = 0
    for (const revision of ['main', fixture.hub.commit])
      for (const offline of [false, true]) {
        const files = await fetchModel({ ...spec, revision }, { ...fixture.options, offline }, ignore, never)
        expect(files.source).toBe('cache')
      }
    expect(fixture.hub.requests).toEqual([])
  })

  test('is asked for uncompressed files', async () => {
    const fixture = await storeFixture()
    await fetchFrom(fixture)
    for (const { headers } of fixture.hub.requests) expect(headers['accept-encoding']).toMatch(/^identity/)
  })

  test('the token goes to the hub only, not to its store, and not into the log', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status: 503 }, { times: 2 })
    await fetchFrom(fixture, { token: 'hf_topsecret' })
    const sent = new Set(fixture.hub.requests.map(({ origin, headers }) => `${origin}: ${headers.authorization}`))
    expect(sent).toEqual(new Set(['hub: Bearer hf_topsecret', 'cdn: undefined']))
    expect(fixture.log()).toContain('hub attempt failed')
    expect(fixture.log()).not.toContain('topsecret')
  })

  test('a token that can not be a header is refused without being quoted', async () => {
    const fixture = await storeFixture()
    const error: unknown = await fetchFrom(fixture, { token: 'hf_top\nsecret' }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid_config' })
    expect(String(error)).not.toContain('hf_top')
  })

  test('redirects within the hub are followed', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'redirect' })
    const files = await fetchFrom(fixture, { token: 'hf_x' })
    expect(Buffer.compare(await readFile(join(files.dir, FILE)), WEIGHTS)).toBe(0)
    const moved = fixture.hub.requests.filter(({ origin, path }) => origin === 'hub' && path.startsWith('/moved'))
    expect(new Set(moved.map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer hf_x']))
  })

  test('a redirect that never ends is an error', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    fixture.hub.fail({ kind: 'redirect-loop' })
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'dependency_unavailable',
      message: expect.stringMatching(/redirected more/),
    })
    expect(fixture.hub.requests).toHaveLength(6)
  })
})

describe('a hub that answers an error', () => {
  test.for([
    [404, {}, 'model_not_found', /no file config\.json of openai\/tiny at revision main/],
    [404, { 'x-error-code': 'RevisionNotFound' }, 'model_not_found', /revision main/],
    [401, {}, 'model_not_found', /openai\/tiny .*set HF_TOKEN/],
    [403, {}, 'model_not_found', /set HF_TOKEN/],
    [400, {}, 'model_failed', /got 400/],
    [200, { 'content-type': 'text/html' }, 'model_failed', /x-repo-commit/],
  ] as const)(
    'with %d %j fails at once, and never falls back to the demo model',
    async ([status, headers, code, message]) => {
      const fixture = await storeFixture()
      await addDemo(fixture)
      fixture.hub.fail({ kind: 'status', status, headers })
      await expect(fetchFrom(fixture)).rejects.toMatchObject({ code, message })
      expect(fixture.hub.requests).toHaveLength(1)
      expect(fixture.pausesMs).toEqual([])
    },
  )

  test('about an optional file that is not "no such file" is an error too', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status: 403 }, { file: 'extra.json' })
    const spec = { ...fixture.spec, optionalFiles: ['extra.json'] }
    await expect(fetchModel(spec, fixture.options, ignore, never)).rejects.toMatchObject({ code: 'model_not_found' })
  })

  test('names the file that it lacks among several', async () => {
    const fixture = await storeFixture()
    fixture.hub.files.delete(FILE)
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'the hub has no file onnx/model.onnx of openai/tiny at revision main',
    })
  })

  test('tells a token without access from no token', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status: 403 })
    await expect(fetchFrom(fixture, { token: 'hf_x' })).rejects.toMatchObject({
      message: expect.stringMatching(/HF_TOKEN gives no access/),
    })
  })

  test.for([429, 503])('with %d is asked again, at growing intervals', async (status) => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status }, { times: 5 })
    expect(await fetchFrom(fixture)).toMatchObject({ source: 'hub' })
    expect(fixture.pausesMs).toEqual([500, 1000, 2000, 4000, 8000])
  })

  test('all the time is given up, without the demo model', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    fixture.hub.fail({ kind: 'status', status: 503 })
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'dependency_unavailable',
      message: expect.stringMatching(/answered 503/),
    })
    expect(fixture.hub.requests).toHaveLength(6)
  })

  test.for([
    ['7', 7000],
    ['86400', 60_000],
    ['soon', 500],
    [new Date(0).toUTCString(), 500],
    [new Date(Date.now() + 86_400_000).toUTCString(), 60_000],
  ] as const)('is given the time it asks for, up to a minute: Retry-After %s', async ([value, waitMs]) => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'status', status: 429, headers: { 'retry-after': value } }, { times: 1 })
    await fetchFrom(fixture)
    expect(fixture.pausesMs).toEqual([waitMs])
  })

  test.for([
    { 'x-repo-commit': null },
    { 'x-repo-commit': '../../etc' },
    { etag: '"../../../evil"' },
    { etag: '".."' },
    { etag: null },
  ])('or facts that can not be, %j, is not trusted', async (headers) => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'headers', headers }, { file: 'config.json' })
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'model_failed',
      message: expect.stringMatching(/expected the headers/),
    })
    expect(await readdir(fixture.dir)).toEqual([])
  })

  test('or another commit than the one asked for is not trusted', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'headers', headers: { 'x-repo-commit': 'f'.repeat(40) } })
    const spec = { ...fixture.spec, revision: fixture.hub.commit }
    await expect(fetchModel(spec, fixture.options, ignore, never)).rejects.toMatchObject({ code: 'model_failed' })
  })
})

describe('demo model', () => {
  test('stands in when the hub refuses connections and nothing is cached, loudly', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    fixture.hub.close()
    const files = await fetchFrom(fixture)
    expect(files).toMatchObject({
      dir: join(fixture.options.demoDir, 'tiny'),
      source: 'demo',
      revision: null,
      id: 'demo/tiny',
    })
    expect(files.warning).toMatch(/can't be reached .*openai\/tiny.*demo\/tiny/)
    expect(JSON.parse(fixture.log().trim().split('\n').at(-1) ?? '')).toMatchObject({ level: 40, msg: files.warning })
    expect(fixture.pausesMs).toEqual([500])
  })

  test('stands in when the name of the hub is unknown', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    const unknown: typeof fetch = async () => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }) })
    }
    expect(await fetchFrom(fixture, { fetch: unknown })).toMatchObject({
      source: 'demo',
      warning: expect.stringMatching(/ENOTFOUND/),
    })
  })

  test('stands in when no connection comes about in time', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    fixture.hub.close()
    const silent: typeof fetch = (_url, init) => {
      const { promise, reject } = Promise.withResolvers<Response>()
      init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      for (const { ms, fire } of fixture.limits) if (ms === 3000) fire()
      return promise
    }
    expect(await fetchFrom(fixture, { fetch: silent })).toMatchObject({
      source: 'demo',
      warning: expect.stringMatching(/within 3000 ms/),
    })
    expect(fixture.limits.size).toBe(0)
  })

  test('does not stand in for a hub that takes the connection but is slow to answer', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    fixture.hub.fail({ kind: 'stall' })
    const { promise: isConnected, resolve: connected } = Promise.withResolvers<void>()
    const setTimer: StoreOptions['setTimer'] = (fire, ms) => {
      if (ms === 3000) return connected
      void isConnected.then(fire)
      return ignore
    }
    const fetching = fetchFrom(fixture, { setTimer, retries: 0 })
    await expect(fetching).rejects.toMatchObject({
      code: 'dependency_unavailable',
      message: expect.stringMatching(/no bytes for/),
    })
  })

  test('stands in when offline and nothing is cached, without a connection', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    expect(await fetchFrom(fixture, { offline: true })).toMatchObject({
      source: 'demo',
      warning: expect.stringMatching(/HF_HUB_OFFLINE/),
    })
    expect(fixture.hub.requests).toEqual([])
  })

  test('does not stand in once the hub has answered', async () => {
    const fixture = await storeFixture()
    await addDemo(fixture)
    let asked = 0
    const failing: typeof fetch = async (url, init) => {
      if (asked++ === 0) return fetch(url, init)
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
    }
    await expect(fetchFrom(fixture, { fetch: failing })).rejects.toMatchObject({ code: 'dependency_unavailable' })
    fixture.hub.fail({ kind: 'status', status: 500 })
    asked = 0
    await expect(fetchFrom(fixture, { fetch: failing })).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })

  test('that is not there either is an error that says what was tried', async () => {
    const fixture = await storeFixture()
    await expect(fetchFrom(fixture, { offline: true })).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringMatching(/HF_HUB_OFFLINE.*openai\/tiny at revision main.*no demo model "tiny"/),
    })
  })
})

describe('names', () => {
  test.for([
    { id: '../etc' },
    { id: '/etc/passwd' },
    { id: 'a/b/c' },
    { id: 'a--b/c' },
    { id: 'http://evil/x' },
    { id: 'evil.com/../x' },
    { id: '' },
    { revision: '../main' },
    { revision: '' },
    { revision: '/main' },
    { files: ['../config.json'] },
    { files: ['onnx/../../x'] },
    { files: ['/etc/passwd'] },
    { files: ['a//b'] },
    { files: ['a\\..\\b'] },
    { files: ['a?b'] },
    { files: ['http://evil/x'] },
    { files: [] },
    { optionalFiles: ['..'] },
    { demo: '../whisper' },
  ])('like %j are refused before anything is looked up', async (change) => {
    const fixture = await storeFixture()
    const fetching = fetchModel({ ...fixture.spec, ...change }, fixture.options, ignore, never)
    await expect(fetching).rejects.toMatchObject({ code: 'invalid_config' })
    expect(fixture.hub.requests).toEqual([])
  })

  test.for(['hub', 'ftp://hub', 'http://user:pass@hub', 'http://hub?x=1'])(
    'endpoint %s is refused',
    async (endpoint) => {
      const fixture = await storeFixture()
      await expect(fetchFrom(fixture, { endpoint })).rejects.toMatchObject({ code: 'invalid_config' })
    },
  )
})

describe('several at once', () => {
  test('callers in one process share one download and each gets its progress', async () => {
    const fixture = await storeFixture()
    const seen = [0, 0, 0]
    const all = seen.map((_, i) =>
      fetchModel(fixture.spec, fixture.options, ({ bytes }) => void (seen[i] = bytes), never),
    )
    const [first, ...others] = await Promise.all(all)
    expect(others).toEqual([first, first])
    expect(seen).toEqual(seen.map(() => CONFIG.byteLength + WEIGHTS.byteLength))
    expect(fixture.hub.requestsFor('HEAD', FILE)).toHaveLength(1)
    expect(fixture.hub.requestsFor('GET', FILE)).toHaveLength(2)
  })

  test('the download goes on when one caller leaves, and stops when the last has left', async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { method: 'GET', file: FILE })
    const [leavesFirst, leavesLast] = [new AbortController(), new AbortController()]
    const first = fetchModel(
      fixture.spec,
      fixture.options,
      ({ bytes }) => void (bytes === CONFIG.byteLength + 1_000_000 && leavesFirst.abort(new Error('first left'))),
      leavesFirst.signal,
    )
    const last = fetchModel(
      fixture.spec,
      fixture.options,
      ({ bytes }) => void (bytes === CONFIG.byteLength + 2_000_000 && leavesLast.abort(new Error('last left'))),
      leavesLast.signal,
    )
    fixture.hub.release()
    await expect(first).rejects.toThrow('first left')
    fixture.hub.release()
    await expect(last).rejects.toThrow('last left')
    fixture.hub.heal()
    await fetchFrom(fixture)
    expect(fixture.hub.requestsFor('GET', FILE).at(-1)?.headers.range).toBe('bytes=2000000-')
  })

  test('a cache that can not be written is a clear error', async () => {
    const fixture = await storeFixture()
    await put(fixture.cacheDir, 'a file where the folder should be')
    await expect(fetchFrom(fixture)).rejects.toMatchObject({
      code: 'model_failed',
      message: expect.stringMatching(/can't be written \(E/),
    })
  })
})

describe('several processes on one volume', () => {
  const script = new URL('./testing/fetch-process.ts', import.meta.url)

  function startProcess({ spec, cacheDir, hub }: StoreFixture): { child: ChildProcess; lines: AsyncIterator<string> } {
    const child = spawn(
      process.execPath,
      [script.pathname, JSON.stringify({ spec, cacheDir, endpoint: hub.endpoint })],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
  }

  /** Reads on, up to the first line in which `pattern` is. */
  async function readUntil(lines: AsyncIterator<string>, pattern: RegExp): Promise<string> {
    for (;;) {
      const next = await lines.next()
      if (next.done) throw new Error(`the process ended without ${pattern}`)
      if (pattern.test(next.value)) return next.value
    }
  }

  test('end with one good file that was transferred once', { timeout: 30_000 }, async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { method: 'GET', file: FILE })
    const processes = [startProcess(fixture), startProcess(fixture)]
    // Nothing of the weights is released before both are after them.
    for (const { lines } of processes) await readUntil(lines, /"bytes"/)
    for (let piece = 0; piece < 3; piece++) fixture.hub.release()
    for (const { lines } of processes) expect(await readUntil(lines, /"source"/)).toContain('"source":"hub"')
    expect(fixture.hub.requestsFor('GET', FILE).filter(({ origin }) => origin === 'cdn')).toHaveLength(1)
    expect(Buffer.compare(await readFile(join(snapshot(fixture), FILE)), WEIGHTS)).toBe(0)
  })

  test('a killed one leaves its part to the next, which goes on at once', { timeout: 30_000 }, async () => {
    const fixture = await storeFixture()
    fixture.hub.fail({ kind: 'slow', pieceBytes: 1_000_000 }, { method: 'GET', file: FILE, times: 1 })
    const { child, lines } = startProcess(fixture)
    fixture.hub.release()
    await readUntil(lines, new RegExp(`"bytes":${CONFIG.byteLength + 1_000_000}\\b`))
    child.kill('SIGKILL')
    await once(child, 'exit')
    await fetchFrom(fixture)
    expect(fixture.hub.requestsFor('GET', FILE).at(-1)?.headers.range).toBe('bytes=1000000-')
    expect(fixture.pausesMs).toEqual([])
    expect(Buffer.compare(await readFile(join(snapshot(fixture), FILE)), WEIGHTS)).toBe(0)
  })
})
