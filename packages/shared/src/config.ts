/**
 * The one reader of settings. A section `stt` with a key `maxBatchSize` reads STT_MAX_BATCH_SIZE, or HEARTH_STT__MAX_BATCH_SIZE, which
 * wins. Every problem is told at once, and secrets never print.
 */
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import * as z from 'zod'
import { AppError } from './errors.ts'

type Env = Readonly<Record<string, string | undefined>>
type Sections = Readonly<Record<string, z.ZodObject>>
export type ConfigOf<S extends Sections> = { readonly [K in keyof S]: z.infer<S[K]> }

const REDACTED = '[redacted]'

/** A value that prints as `[redacted]` everywhere; `reveal` is the only way to it. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

type Range = { min: number; max: number }

/** Setting types: the environment holds text, so numbers and switches are parsed here. Decimal digits only: `0x10` or a blank is a slip. */
export const int = (range: Range) => decimal(/^-?\d+$/, 'an integer', range)
export const number = (range: Range) => decimal(/^-?\d+(?:\.\d+)?$/, 'a number', range)
export const port = () => int({ min: 0, max: 65_535 })
export const text = () => z.string().min(1)
/** `1`, `true`, `yes`, `on` and their opposites. */
export const bool = () => z.stringbool()
/** An http(s) address without a trailing slash. */
export const url = () => z.url({ protocol: /^https?$/ }).transform((address) => address.replace(/\/+$/, ''))
/** Texts separated by commas. */
export const list = () =>
  text().transform((value) =>
    value
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean),
  )
/** A text that must not be printed. */
export const secret = ({ minLength = 1 } = {}) =>
  z
    .string()
    .min(minLength)
    .transform((value) => new Secret(value))
    .meta({ secret: true })

function decimal(pattern: RegExp, kind: string, { min, max }: Range) {
  const error = `expected ${kind} from ${min} to ${max}`
  return z
    .string({ error })
    .regex(pattern, error)
    .transform(Number)
    .pipe(z.number({ error }).min(min, error).max(max, error))
}

/** Reads every section. Throws one `invalid_config` that names each variable at fault, what was expected, and (secrets apart) what came. */
export function readConfig<S extends Sections>(sections: S, env: Env): ConfigOf<S> {
  const problems: string[] = []
  const entries = Object.entries(sections).map(([section, schema]) => {
    const given = readSection(section, schema, env, problems)
    const parsed = schema.safeParse(given)
    for (const issue of parsed.error?.issues ?? []) problems.push(describeIssue(section, schema, issue, given))
    return [section, parsed.data]
  })
  if (problems.length > 0)
    throw new AppError('invalid_config', `these settings can't be used:\n  ${problems.join('\n  ')}`)
  return Object.fromEntries(entries) as ConfigOf<S>
}

/** One entry per variable, in the order of the schemas, for the start-up log. Secrets are redacted, unset values left out. */
export function describeConfig(
  config: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Record<string, string> {
  const entries = Object.entries(config).flatMap(([section, values]) =>
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [variable(section, key), withoutCredentials(String(value))]),
  )
  return Object.fromEntries(entries)
}

/** `redis://:password@host` -> `redis://[redacted]@host`. */
const withoutCredentials = (value: string): string => value.replace(/\/\/[^/?#]*@/, `//${REDACTED}@`)

/** `stt`, `maxBatchSize` -> `STT_MAX_BATCH_SIZE`. */
export const variable = (section: string, key: string): string => `${snake(section)}_${snake(key)}`
const nested = (section: string, key: string): string => `HEARTH_${snake(section)}__${snake(key)}`
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

function readSection(section: string, schema: z.ZodObject, env: Env, problems: string[]): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [key, type] of Object.entries(schema.shape)) {
    const value =
      env[nested(section, key)] ||
      env[variable(section, key)] ||
      (isSecret(type) ? readFile(section, key, env, problems) : '')
    if (value) given[key] = value
  }
  return given
}

/** Secrets may also come from a file, so that they stay out of the process list: `HF_TOKEN_FILE`. */
function readFile(section: string, key: string, env: Env, problems: string[]): string {
  const name = [nested(section, key), variable(section, key)].map((one) => `${one}_FILE`).find((one) => env[one])
  if (!name) return ''
  try {
    return readFileSync(env[name] ?? '', 'utf8').trim()
  } catch {
    problems.push(`${name}: no such file can be read`)
    return ''
  }
}

/** Looks through `optional()` and its like for what `secret()` marked. */
function isSecret(type: unknown): boolean {
  if (!(type instanceof z.ZodType)) return false
  if (type.meta()?.['secret'] === true) return true
  return 'unwrap' in type && typeof type.unwrap === 'function' && isSecret(type.unwrap())
}

function describeIssue(
  section: string,
  schema: z.ZodObject,
  issue: z.core.$ZodIssue,
  given: Record<string, string>,
): string {
  const [path] = issue.path
  // From a refinement of the whole section.
  if (path === undefined) return `${snake(section)}_*: ${issue.message}`
  const key = String(path)
  const came = given[key]
  const shown =
    came === undefined ? 'nothing' : isSecret(schema.shape[key]) ? REDACTED : withoutCredentials(JSON.stringify(came))
  return `${variable(section, key)}: ${issue.message}, got ${shown}`
}
