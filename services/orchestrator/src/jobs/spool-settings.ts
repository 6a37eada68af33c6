/** Where the spool lies: a folder under HEARTH_HOME, or with SPOOL_S3_* a bucket, and how either is made. */
import { join } from 'node:path'
import { secret, text, url } from '@hearth/shared/config'
import * as z from 'zod'
import { createFileSpool } from './spool-folder.ts'
import { createS3Spool } from './spool-s3.ts'
import type { Spool, SpoolLimits } from './spool.ts'

export const SpoolSettings = z
  .object({
    /** Of any S3-compatible server, for orchestrators on several machines. */
    s3Url: url().optional(),
    /** It has to be there. */
    s3Bucket: text()
      .regex(/^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/, 'expected the name of a bucket')
      .optional(),
    s3Region: text().default('us-east-1'),
    s3KeyId: text().optional(),
    s3Secret: secret().optional(),
  })
  .refine(
    (s3) => new Set([s3.s3Url, s3.s3Bucket, s3.s3KeyId, s3.s3Secret].map((value) => value === undefined)).size === 1,
    {
      error: 'expected SPOOL_S3_URL, SPOOL_S3_BUCKET, SPOOL_S3_KEY_ID and SPOOL_S3_SECRET together',
    },
  )
export type SpoolSettings = z.infer<typeof SpoolSettings>

/** Throws nothing: a bucket that can't be used is told by each call. */
export function openSpool(
  { s3Url, s3Bucket, s3Region, s3KeyId, s3Secret }: SpoolSettings,
  { home, name }: { home: string; name: string },
  limits: SpoolLimits,
): Spool {
  if (s3Url === undefined || s3Bucket === undefined || s3KeyId === undefined || s3Secret === undefined)
    return createFileSpool({ folder: join(home, name), ...limits })
  const bucket = { url: s3Url, bucket: s3Bucket, region: s3Region, keyId: s3KeyId, secret: s3Secret }
  return createS3Spool({ bucket, folder: name, ...limits })
}
