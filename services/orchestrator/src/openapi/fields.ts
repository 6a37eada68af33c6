/** A JSON Schema as rows that a person reads: each field with its path, its kind in words, and its meaning. */
import { anchorOf } from './blocks.ts'
import type { JsonSchema } from './schemas.ts'

/** `audio.base64`, what it may be, what it means. */
export type FieldRow = readonly [name: string, kind: string, meaning: string]

/** In a request one wants to know what must be there, in a reply what may be missing. */
export type Direction = 'request' | 'reply'

/** The rows of an object's fields, and of those inside them; none for what has no fields of its own. */
export function fieldRows(schema: JsonSchema, direction: Direction, prefix = ''): FieldRow[] {
  const { properties = {}, required = [] } = schema
  return Object.entries(properties).flatMap(([name, field]) => {
    if (typeof field === 'boolean') return []
    const path = prefix + name
    const isRequired = required.includes(name)
    // To send null and to send nothing is the same.
    const kinds = kindsOf(field).filter((kind) => kind !== 'null' || direction === 'reply' || isRequired)
    const kind = [joined(kinds), ...notes(field, isRequired, direction)].join(', ')
    const inner = innerOf(field)
    return [
      [`\`${path}\``, kind, field.description ?? ''] as const,
      ...(inner ? fieldRows(inner.schema, direction, `${path}${inner.suffix}.`) : []),
    ]
  })
}

function notes(field: JsonSchema, isRequired: boolean, direction: Direction): string[] {
  if (field.default !== undefined) return [`else ${code(field.default)}`]
  if (direction === 'request') return isRequired ? ['**required**'] : []
  return isRequired ? [] : ['may be missing']
}

/** The object whose fields are shown below: this one, the elements of this list, or the one beside null. */
function innerOf(schema: JsonSchema, suffix = ''): { schema: JsonSchema; suffix: string } | undefined {
  if (schema.properties) return { schema, suffix }
  const { items } = schema
  if (isSchema(items)) return innerOf(items, `${suffix}[]`)
  const options = unionOf(schema)?.filter(({ type }) => type !== 'null') ?? []
  const [only] = options
  return only && options.length === 1 ? innerOf(only, suffix) : undefined
}

const isSchema = (value: Items): value is JsonSchema => typeof value === 'object' && !Array.isArray(value)

/** The options of a union, unions in it resolved. */
function unionOf({ anyOf, oneOf }: JsonSchema): JsonSchema[] | undefined {
  const options = anyOf ?? oneOf
  return options?.flatMap((option) => (typeof option === 'boolean' ? [] : (unionOf(option) ?? [option])))
}

/** What a value may be, in words. */
export const kindOf = (schema: JsonSchema): string => joined(kindsOf(schema))

function kindsOf(schema: JsonSchema): string[] {
  const options = unionOf(schema)
  // Several objects are told apart by what is in them.
  const areMany = (options ?? []).filter(({ properties }) => properties).length > 1
  if (options)
    return options.flatMap((option) => (areMany && option.properties ? [code(outline(option))] : kindsOf(option)))
  if (schema.$ref !== undefined) return [linkOf(schema.$ref)]
  if (schema.const !== undefined) return [code(schema.const)]
  if (schema.enum) return schema.enum.length > MOST_VALUES ? ['a code'] : schema.enum.map(code)
  if (schema.not !== undefined) return ['nothing']
  return Array.isArray(schema.type) ? schema.type : [plainKind(schema)]
}

/** Of the lists in this API, only that of all error codes is longer, and it has a table of its own. */
const MOST_VALUES = 12

function plainKind(schema: JsonSchema): string {
  const { type, items, maxItems, properties, additionalProperties: values } = schema
  if (type === 'array' && maxItems === 0) return 'empty list'
  if (type === 'array') return `list${ofItems(items)}${maxItems === undefined ? '' : `, at most ${maxItems}`}`
  if (type === 'object') return isSchema(values) && !properties ? `object${ofItems(values)}` : 'object'
  if (type === 'integer' || type === 'number') return type + bounds(schema)
  if (type === 'string') return textKind(schema)
  return typeof type === 'string' ? type : 'anything'
}

type Items = JsonSchema['items'] | JsonSchema['additionalProperties']

function ofItems(items: Items): string {
  if (!isSchema(items)) return ''
  const kind = kindOf(items)
  if (kind === 'anything') return ''
  return /^(?:string|number|object)$/.test(kind) ? ` of ${kind}s` : ` of ${kind}`
}

function textKind({ format, maxLength }: JsonSchema): string {
  if (format === 'binary') return 'file'
  if (format === 'date-time') return 'time (ISO 8601)'
  return maxLength === undefined ? 'string' : `string of at most ${maxLength}`
}

function bounds({ minimum, maximum }: JsonSchema): string {
  if (maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER)
    return minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? '' : ` from ${minimum}`
  return ` from ${minimum ?? 0} to ${maximum}`
}

const joined = (kinds: readonly string[]): string => {
  const [last, ...others] = [...new Set(kinds)].toReversed()
  return others.length === 0 ? (last ?? '') : `${others.toReversed().join(', ')} or ${last}`
}

/** `{type: "text", text: string}` */
function outline({ properties = {} }: JsonSchema): string {
  const fields = Object.entries(properties).map(([name, field]) => {
    if (typeof field === 'boolean') return name
    return `${name}: ${field.properties ? outline(field) : field.const === undefined ? kindOf(field) : JSON.stringify(field.const)}`
  })
  return `{${fields.join(', ')}}`
}

const code = (value: unknown): string => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

/** A named schema is told once, in a place of its own: among the shapes, or in the chapter on errors. */
const linkOf = (ref: string): string => {
  const name = nameOf(ref)
  return `[${name}](#${anchorOf(name === 'Error' ? 'Errors' : name)})`
}

export const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)
