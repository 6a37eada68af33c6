/** Whether Redis is there, keeps what it is given, and refuses when it is full instead of forgetting jobs. */
import { failed, ok, placeOf, skipped, type Verdict, warning } from '@hearth/shared/doctor'
import { bytesInWords } from '@hearth/shared/in-words'
import { Redis } from 'ioredis'

/** BullMQ asks for it. */
const OLDEST = [6, 2] as const
const FULL_AT = 0.9

/** One `INFO` has all that is looked at, so that no right to `CONFIG` is needed. */
export async function checkRedis(url: string | undefined, signal: AbortSignal): Promise<Verdict> {
  if (url === undefined) return skipped('no REDIS_URL: there is no job queue, and sessions live in this process')
  const place = placeOf(url)
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  // The command that fails says only that the connection is closed; why, this tells.
  let cause: unknown
  client.on('error', (error: unknown) => (cause ??= error))
  signal.addEventListener('abort', () => client.disconnect(), { once: true })
  try {
    await client.connect()
    return judgeInfo(place, fieldsOf(await client.info()))
  } catch (error) {
    return whyNot(place, cause ?? error)
  } finally {
    client.disconnect()
  }
}

/** `name:value` lines. */
const fieldsOf = (info: string): ReadonlyMap<string, string> =>
  new Map(
    info
      .split(/\r?\n/)
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )

function judgeInfo(place: string, fields: ReadonlyMap<string, string>): Verdict {
  const version = fields.get('redis_version') ?? '0'
  const policy = fields.get('maxmemory_policy') ?? 'unknown'
  const name = `Redis ${version} at ${place}`
  const set = (setting: string) => `in redis-cli: CONFIG SET ${setting}; and the same in its redis.conf`
  if (isOlder(version)) return failed(`${name} is too old`, `install Redis ${OLDEST.join('.')} or newer`)
  if (policy !== 'noeviction')
    return failed(
      `${name} forgets jobs when it is full (maxmemory-policy ${policy})`,
      set('maxmemory-policy noeviction'),
    )
  if (fields.get('aof_last_write_status') === 'err' || fields.get('rdb_last_bgsave_status') === 'err')
    return failed(`${name} can't write to its disk`, 'free some space on its disk, and look into its log')
  const [used, most] = ['used_memory', 'maxmemory'].map((field) => Number(fields.get(field) ?? 0))
  if (used && most && used > most * FULL_AT)
    return warning(
      `${name} is nearly full: ${bytesInWords(used)} of ${bytesInWords(most)}`,
      set('maxmemory <more bytes>'),
    )
  if (fields.get('aof_enabled') !== '1')
    return warning(`${name} keeps nothing over its end: sessions and waiting jobs go with it`, set('appendonly yes'))
  return ok(`${name}: append-only file, ${policy}, ${bytesInWords(used ?? 0)} used`)
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

/** Redis' own first word (`NOAUTH`, `WRONGPASS`, `LOADING`), never its sentence. */
function whyNot(place: string, error: unknown): Verdict {
  const message = error instanceof Error ? error.message : ''
  const [word] = /\b(?:NOAUTH|WRONGPASS|NOPERM|LOADING)\b/.exec(message) ?? []
  if (word === 'LOADING') return warning(`Redis at ${place} still reads its file`, 'wait until it has')
  if (word !== undefined)
    return failed(`Redis at ${place} refuses (${word})`, 'put the right user and password into REDIS_URL')
  const start = 'start it (`npm start` brings its own; docker compose up -d redis), or correct REDIS_URL'
  return failed(`Redis at ${place} does not answer; turns go on without queue and shared sessions`, start)
}
