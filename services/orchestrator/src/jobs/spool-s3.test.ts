import { Secret } from '@hearth/shared/config'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { startStub } from '../testing/http-stub.ts'
import { refuse, startS3 } from '../testing/s3-server.ts'
import type { S3Server } from '../testing/s3-server.ts'
import { createS3Spool } from './spool-s3.ts'
import type { S3Bucket } from './spool-s3.ts'

const soon = () => AbortSignal.timeout(10_000)
const REF = 'a'.repeat(32)
let server: S3Server

beforeEach(async () => {
  server = await startS3()
})
afterEach(() => server.close())

const spoolOf = (changes: Partial<S3Bucket> = {}) =>
  createS3Spool({ bucket: { ...server.bucket, ...changes }, folder: 'spool', maxBytes: 1e6, maxAgeMs: 900_000 })
/** The first `put` looks what is there. */
async function lookedAt() {
  const spool = spoolOf()
  await spool.sweep(soon())
  return spool
}
const put = (spool: ReturnType<typeof spoolOf>) => spool.put(new Uint8Array(9), soon())

test('names the bucket in the path, and keeps to keys of its own', async () => {
  server.objects.set('other/thing', { bytes: Buffer.alloc(1), modifiedAt: new Date(0) })
  server.objects.set('spool/notes.txt', { bytes: Buffer.alloc(1), modifiedAt: new Date(0) })
  const spool = await lookedAt()
  const ref = await put(spool)
  expect(server.asked).toEqual(['GET /hearth-spool?list-type=2&prefix=spool%2F', `PUT /hearth-spool/spool/${ref}`])
  expect(server.objects.size).toBe(3)
})

describe('what the server says is told as what it means', () => {
  const away = { code: 'dependency_unavailable', status: 503, retryAfterMs: 1000 }

  test.each([
    [403, 'AccessDenied', away],
    [404, 'NoSuchBucket', away],
    [404, 'XAdminUserNotFound', away],
    [500, 'InternalError', away],
    [503, 'SlowDown', away],
    [507, '', { code: 'storage_full', status: 507 }],
    [403, 'QuotaExceeded', { code: 'storage_full', status: 507 }],
  ])('%i %s', async (status, code, error) => {
    const spool = await lookedAt()
    server.fault = (response) => refuse(response, status, code)
    await expect(put(spool)).rejects.toMatchObject(error)
    await expect(spool.get(REF, soon())).rejects.toMatchObject(error)
    await expect(spool.delete(REF)).rejects.toMatchObject(error)
    await expect(spool.sweep(soon())).rejects.toMatchObject(error)
  })

  test.each([{ secret: new Secret('wrong') }, { keyId: 'AKIAOTHER' }, { bucket: 'other-bucket' }])(
    'with settings of somebody else',
    async (changes) => {
      await expect(put(spoolOf(changes))).rejects.toMatchObject({
        ...away,
        message: expect.stringMatching(/40[34] \(\w+\)/),
      })
    },
  )

  test('with an answer of something that is no S3 server', async () => {
    server.fault = (response) => response.end('<html>please log in</html>')
    await expect(spoolOf().sweep(soon())).rejects.toMatchObject(away)
  })

  test('with a redirect, which would take the signed request elsewhere', async () => {
    const spool = await lookedAt()
    const elsewhere = await startStub((response) => response.end('not ours'))
    onTestFinished(() => elsewhere.close())
    server.fault = (response) => response.writeHead(307, { location: elsewhere.url }).end()
    await expect(spool.get(REF, soon())).rejects.toMatchObject(away)
    expect(elsewhere.asked).toEqual([])
  })

  test('when nobody is there', async () => {
    await server.close()
    const closed = put(spoolOf())
    server = await startS3()
    await expect(closed).rejects.toMatchObject(away)
  })

  test('when it breaks off in the middle', async () => {
    const spool = await lookedAt()
    server.fault = (response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half')
      setImmediate(() => response.destroy())
    }
    await expect(spool.get(REF, soon())).rejects.toMatchObject(away)
  })
})

test('a server that never answers is waited for a few seconds, and nothing of that stays', async () => {
  const spool = await lookedAt()
  server.fault = () => {}
  await expect(put(spool)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  server.fault = undefined
  await expect(put(spool)).resolves.toMatch(/./)
})

test('who leaves while the server hangs is let go at once', async () => {
  const spool = await lookedAt()
  const leaving = new AbortController()
  server.fault = () => leaving.abort(new Error('left'))
  await expect(spool.put(new Uint8Array(9), leaving.signal)).rejects.toThrow('left')
})

test('ages are by the clock of the server', async () => {
  const spool = await lookedAt()
  const ref = await put(spool)
  const hour = 3_600_000
  server.fault = (response) => {
    const then = new Date(Date.now() - hour)
    response.writeHead(200, { date: then.toUTCString() })
    const entry = `<Key>spool/${ref}</Key><LastModified>${then.toISOString()}</LastModified><Size>9</Size>`
    response.end(`<ListBucketResult><IsTruncated>false</IsTruncated><Contents>${entry}</Contents></ListBucketResult>`)
  }
  expect(await spool.sweep(soon())).toBe(0)
})
