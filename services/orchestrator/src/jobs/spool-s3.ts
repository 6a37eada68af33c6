/**
 * The spool as objects in a bucket of any S3-compatible server, for orchestrators on several machines: plain HTTP with paths as in
 * `/bucket/spool/ref`, each request signed with AWS Signature Version 4, the body's checksum included.
 */
import { AppError } from '@hearth/shared/errors'
import type { Secret } from '@hearth/shared/config'
import { AwsV4Signer } from 'aws4fetch'
import * as z from 'zod'
import { createSpool, spoolAway } from './spool.ts'
import type { Spool, SpoolLimits, SpoolStore, StoredFile } from './spool.ts'

export type S3Bucket = {
  /** The server's address, without the bucket and without a trailing slash. */
  readonly url: string
  readonly bucket: string
  readonly region: string
  readonly keyId: string
  readonly secret: Secret
}

/** The bucket has to be there; what else lies in it is not touched. */
export const createS3Spool = ({ bucket, folder, ...limits }: S3SpoolOptions): Spool =>
  createSpool(storeIn(bucket, `${folder}/`), limits)

/** Keys begin with the folder's name, and the server lists only these. */
export type S3SpoolOptions = SpoolLimits & { readonly bucket: S3Bucket; readonly folder: string }

const NOTHING = new Uint8Array()

type Call = {
  readonly method: string
  readonly path?: string
  readonly search?: string
  readonly body?: Uint8Array
  /** An object that is not there is an answer too. */
  readonly mayMiss?: boolean
}
type Send = (call: Call, signal: AbortSignal) => Promise<Response>

function storeIn(bucket: S3Bucket, prefix: string): SpoolStore {
  const send: Send = (call, signal) => sendSigned(bucket, call, signal)
  const pathOf = (ref: string) => `/${prefix}${ref}`

  return {
    async write(ref, body, signal) {
      await drained(await send({ method: 'PUT', path: pathOf(ref), body }, signal))
    },
    async read(ref, signal) {
      const response = await send({ method: 'GET', path: pathOf(ref), mayMiss: true }, signal)
      if (response.ok) return response.blob().catch(fail)
      await drained(response)
      return null
    },
    async remove(ref, signal) {
      await drained(await send({ method: 'DELETE', path: pathOf(ref), mayMiss: true }, signal))
    },
    async list(signal) {
      const files: StoredFile[] = []
      for (let after = ''; ;) {
        const page = await listPage(send, { prefix, after }, signal)
        files.push(...page.files)
        if (!page.hasMore) return files
        after = page.lastKey
      }
    },
  }
}

/** Gives a good answer, or one that says that there is no such object. */
async function sendSigned(bucket: S3Bucket, call: Call, signal: AbortSignal): Promise<Response> {
  const { method, path = '', search = '', mayMiss = false } = call
  const body = call.body && Uint8Array.from(call.body)
  const signer = new AwsV4Signer({
    method,
    url: `${bucket.url}/${bucket.bucket}${path}${search}`,
    headers: { 'x-amz-content-sha256': await sha256(body ?? NOTHING) },
    service: 's3',
    region: bucket.region,
    accessKeyId: bucket.keyId,
    secretAccessKey: bucket.secret.reveal(),
  })
  const { url, headers } = await signer.sign()
  const response = await fetch(url, { method, headers, redirect: 'error', signal, ...(body && { body }) }).catch(fail)
  if (response.ok) return response
  const code = /<Code>(\w+)<\/Code>/.exec(await response.text().catch(fail))?.[1] ?? ''
  if (mayMiss && code === 'NoSuchKey') return response
  throw refusal(response.status, code)
}

/** In a thread of Node's own: an upload may have many megabytes. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** How the servers say it: AWS has no limit, MinIO, Ceph and Garage have quotas. */
const FULL = /^(XMinioStorageFull|XMinioAdminBucketQuotaExceeded|QuotaExceeded|StorageFull)$/

function refusal(status: number, code: string): AppError {
  const said = `the S3 server answered ${status}${code && ` (${code})`}`
  if (status === 507 || FULL.test(code)) return new AppError('storage_full', `the spool: ${said}`)
  return spoolAway(said)
}

const fail = (cause: unknown): never => {
  throw spoolAway('the S3 server is away, or broke off', cause)
}

/** An answer that is not read to its end keeps its connection. */
async function drained(response: Response): Promise<void> {
  if (!response.bodyUsed) await response.arrayBuffer().catch(fail)
}

const Entry = z.object({ key: z.string(), bytes: z.coerce.number().int(), modifiedAt: z.coerce.date() })

/** One page of ListObjectsV2: up to 1000 objects after a key. Ages are by the server's clock, whatever ours says. */
async function listPage(send: Send, { prefix, after }: { prefix: string; after: string }, signal: AbortSignal) {
  const query = new URLSearchParams({ 'list-type': '2', prefix, ...(after && { 'start-after': after }) })
  const response = await send({ method: 'GET', search: `?${query.toString()}` }, signal)
  const text = await response.text().catch(fail)
  const found = z.array(Entry).safeParse(contentsOf(text)).data
  if (!found || !text.includes('<ListBucketResult')) throw spoolAway('expected a list of objects, got something else')
  const servedAt = Date.parse(response.headers.get('date') ?? '') || Date.now()
  const files = found.map(({ key, bytes, modifiedAt }) => ({
    ref: key.slice(prefix.length),
    bytes,
    ageMs: servedAt - modifiedAt.getTime(),
  }))
  const lastKey = found.at(-1)?.key ?? ''
  return { files, lastKey, hasMore: lastKey !== '' && text.includes('<IsTruncated>true</IsTruncated>') }
}

function contentsOf(xml: string) {
  const field = (entry: string, name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(entry)?.[1]
  return xml
    .matchAll(/<Contents>(.*?)<\/Contents>/gs)
    .map(([, entry = '']) => ({
      key: field(entry, 'Key'),
      bytes: field(entry, 'Size'),
      modifiedAt: field(entry, 'LastModified'),
    }))
    .toArray()
}
