/** The services' JSON log lines, made short enough to read as they pass: level, message, a few fields. */
import { styleText } from 'node:util'

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}
/** Said already by the prefix, or of no use to someone who watches. */
const HIDDEN = new Set(['level', 'time', 'pid', 'hostname', 'service', 'name', 'v', 'msg', 'err', 'warning'])
const MOST_FIELDS = 8
const LONGEST_VALUE = 80

/** One line of a service's output as a person wants to see it; what is no log line passes unchanged. */
export function readable(line: string): string {
  const entry = parseEntry(line)
  if (entry === null) return line
  const level = LEVELS[Number(entry['level'])] ?? 'info'
  const parts = [colour(level), messageOf(entry['msg']), ...fields(entry), ...problem(entry['err'])]
  return parts.filter((part) => part !== '').join(' ')
}

function parseEntry(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null
  try {
    const entry: unknown = JSON.parse(line)
    return typeof entry === 'object' && entry !== null && 'level' in entry ? { ...entry } : null
  } catch {
    return null
  }
}

function colour(level: string): string {
  if (level === 'warn') return styleText('yellow', level)
  return level === 'error' || level === 'fatal' ? styleText('red', level) : styleText('dim', level)
}

function fields(entry: Record<string, unknown>): string[] {
  return Object.entries(entry)
    .filter(([name, value]) => !HIDDEN.has(name) && value !== null && typeof value !== 'object')
    .slice(0, MOST_FIELDS)
    .map(([name, value]) => styleText('dim', `${name}=${fieldText(value)}`))
}

function problem(error: unknown): string[] {
  if (typeof error !== 'object' || error === null || !('message' in error)) return []
  return [styleText('red', messageOf(error.message))]
}

const messageOf = (value: unknown): string => (typeof value === 'string' ? value : '')

function fieldText(value: unknown): string {
  const whole = typeof value === 'number' ? String(Math.round(value * 10) / 10) : String(value)
  return whole.length > LONGEST_VALUE ? `${whole.slice(0, LONGEST_VALUE)}...` : whole
}

/** What Redis says at every start and every end. */
const REDIS_CHATTER =
  /^(?:oO0|Redis version|Configuration loaded|Server initialized|Received SIG|User requested|Redis is now ready to exit)/
const REDIS_HEAD = /^\d+:(?:[A-Z] .+? [.\-*#]|signal-handler \(\d+\)) /

/** The first sentence of a line of Redis (`123:M 21 Nov 2026 11:22:33.456 # message`); null for what it always says. */
export function readableRedis(line: string): string | null {
  const message = line.replace(REDIS_HEAD, '')
  return REDIS_CHATTER.test(message) ? null : message.replace(/([.!]) .*/, '$1')
}
