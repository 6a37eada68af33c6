/**
 * For tests: an S3-shaped server with one bucket in memory. It computes each request's signature again (AWS Signature Version 4, header
 * form) from what came over the wire, and refuses what does not fit, so a client that signs wrongly fails here as it would there.
 */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Secret } from '@hearth/shared/config'
import type { S3Bucket } from '../jobs/spool-s3.ts'
import { startServer } from './http-stub.ts'

type StoredObject = { readonly bytes: Buffer; modifiedAt: Date }
type Handler = (response: ServerResponse) => void

export type S3Server = {
  readonly bucket: S3Bucket
  /** By key. */
  readonly objects: Map<string, StoredObject>
  /** Every request, as `PUT /bucket/key`. */
  readonly asked: string[]
  /** Answers instead of the server, while it is set. */
  fault: Handler | undefined
  close(): Promise<void>
}

const BUCKET = 'hearth-spool'
const KEY_ID = 'AKIATEST'
const SECRET = 'not/a+secret'
const SKEW_MS = 900_000

/** `pageSize`: how many objects one list holds. */
export async function startS3({ pageSize = 1000 } = {}): Promise<S3Server> {
  const objects: S3Server['objects'] = new Map()
  const asked: string[] = []
  const http = await startServer((response, body, request) => {
    asked.push(`${request.method} ${request.url}`)
    if (server.fault) return server.fault(response)
    const problem = problemOf(request, body)
    if (problem) return refuse(response, 403, problem)
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://s3')
    const [, bucket, ...rest] = pathname.split('/')
    if (bucket !== BUCKET) return refuse(response, 404, 'NoSuchBucket')
    if (rest.length === 0) return list(response, objects, searchParams, pageSize)
    return serve(response, objects, request.method ?? '', rest.join('/'), body)
  })
  const bucket = { url: http.url, bucket: BUCKET, region: 'eu-test-1', keyId: KEY_ID, secret: new Secret(SECRET) }
  const server: S3Server = { bucket, objects, asked, fault: undefined, close: () => http.close() }
  return server
}

export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`)
}

function serve(
  response: ServerResponse,
  objects: S3Server['objects'],
  method: string,
  key: string,
  body: Buffer,
): void {
  const found = objects.get(key)
  if (method === 'PUT') objects.set(key, { bytes: body, modifiedAt: new Date() })
  if (method === 'DELETE') objects.delete(key)
  if (method === 'GET') return found ? void response.end(found.bytes) : refuse(response, 404, 'NoSuchKey')
  response.writeHead(method === 'DELETE' ? 204 : 200).end()
}

function list(response: ServerResponse, objects: S3Server['objects'], search: URLSearchParams, pageSize: number): void {
  const after = search.get('start-after') ?? ''
  const keys = [...objects.keys()].filter((key) => key.startsWith(search.get('prefix') ?? '') && key > after).toSorted()
  const page = keys.slice(0, pageSize).map((key) => {
    const { bytes, modifiedAt } = objects.get(key) ?? { bytes: Buffer.alloc(0), modifiedAt: new Date() }
    return `<Contents><Key>${key}</Key><LastModified>${modifiedAt.toISOString()}</LastModified><Size>${bytes.length}</Size></Contents>`
  })
  const head = `<IsTruncated>${keys.length > page.length}</IsTruncated>`
  response.writeHead(200, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>${head}${page.join('')}</ListBucketResult>`)
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([\da-f]{64})$/

/** The S3 code of what is wrong with a request, as AWS tells it. */
function problemOf(request: IncomingMessage, body: Buffer): string | undefined {
  const [, keyId, day = '', region = '', signed = '', signature] =
    AUTHORIZATION.exec(request.headers.authorization ?? '') ?? []
  const header = (name: string) => String(request.headers[name] ?? '')
  const stamp = header('x-amz-date')
  if (keyId !== KEY_ID) return 'InvalidAccessKeyId'
  if (Math.abs(Date.now() - timeOf(stamp)) > SKEW_MS || !stamp.startsWith(day)) return 'RequestTimeTooSkewed'
  if (header('x-amz-content-sha256') !== sha256(body)) return 'XAmzContentSHA256Mismatch'
  const names = signed.split(';')
  if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => names.includes(name))) return 'AccessDenied'
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://s3')
  const query = [...searchParams]
    .map((pair) => pair.map(encode).join('='))
    .toSorted()
    .join('&')
  const headers = names.map((name) => `${name}:${header(name).trim()}\n`).join('')
  const canonical = [request.method, pathname, query, headers, signed, header('x-amz-content-sha256')].join('\n')
  const text = ['AWS4-HMAC-SHA256', stamp, `${day}/${region}/s3/aws4_request`, sha256(canonical)].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${SECRET}`)
  return hmac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}

const encode = (part: string): string =>
  encodeURIComponent(part).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** `20260101T120000Z` in milliseconds. */
const timeOf = (stamp: string): number =>
  Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
