import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@hearth/shared/config'
import { expect, onTestFinished, test } from 'vitest'
import { startS3 } from '../testing/s3-server.ts'
import { openSpool, SpoolSettings } from './spool-settings.ts'

const limits = { maxBytes: 1000, maxAgeMs: 1000 }
const read = (env: Record<string, string>) => readConfig({ spool: SpoolSettings }, env).spool
const soon = () => AbortSignal.timeout(10_000)

async function home(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-spool-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('without a bucket it is a folder of its own in HEARTH_HOME', async () => {
  const folder = await home()
  const ref = await openSpool(read({}), { home: folder, name: 'spool' }, limits).put(new Uint8Array(1), soon())
  expect(await readdir(join(folder, 'spool'))).toEqual([ref])
})

test('with a bucket nothing is written to HEARTH_HOME', async () => {
  const [server, folder] = [await startS3(), await home()]
  onTestFinished(() => server.close())
  const { url, bucket, region, keyId, secret } = server.bucket
  const settings = read({
    SPOOL_S3_URL: `${url}/`,
    SPOOL_S3_BUCKET: bucket,
    SPOOL_S3_REGION: region,
    SPOOL_S3_KEY_ID: keyId,
    SPOOL_S3_SECRET: secret.reveal(),
  })
  expect(JSON.stringify(settings)).not.toContain(secret.reveal())
  const ref = await openSpool(settings, { home: folder, name: 'spool' }, limits).put(new Uint8Array(1), soon())
  expect([...server.objects.keys()]).toEqual([`spool/${ref}`])
  expect(await readdir(folder)).toEqual([])
})

const whole = {
  SPOOL_S3_URL: 'http://s3',
  SPOOL_S3_BUCKET: 'hearth',
  SPOOL_S3_KEY_ID: 'key',
  SPOOL_S3_SECRET: 'secret',
}

test.each(Object.keys(whole))('a bucket without %s is refused', (name) => {
  const { [name]: _, ...rest }: Record<string, string> = whole
  expect(() => read(rest)).toThrow(/SPOOL_\*: expected SPOOL_S3_URL, .* together/)
})

test.each(['a', '../other', 'Hearth', 'a/b'])('%j is no name of a bucket', (name) => {
  expect(() => read({ ...whole, SPOOL_S3_BUCKET: name })).toThrow(/SPOOL_S3_BUCKET: expected the name of a bucket/)
})
