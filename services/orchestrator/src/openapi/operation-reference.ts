/** One route as a text for people: commands that work, what it takes, what it answers, and what may go wrong. */
import { blocksOf, heading, text } from './blocks.ts'
import type { Block } from './blocks.ts'
import type { OpenApi, OperationObject, ParameterObject, ResponseObject } from './open-api.ts'
import { fieldRows, kindOf, nameOf } from './fields.ts'
import type { Direction, FieldRow } from './fields.ts'
import type { JsonSchema } from './schemas.ts'

export function operationBlocks(document: OpenApi, title: string, operation: OperationObject): Block[] {
  const { summary, description, security, requestBody, responses, parameters = [] } = operation
  const inside = (place: string) => parameters.filter((parameter) => parameter.in === place)
  const takes = Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => ({
    title: `\`${type}\``,
    schema,
  }))
  const address = inside('query').length > 0 ? [{ title: 'in the address', schema: asObject(inside('query')) }] : []
  return [
    heading(3, title),
    text(`**${summary}**${security ? ' (open)' : ''}`),
    ...(description === undefined ? [] : blocksOf(description)),
    ...samples(operation),
    ...(inside('path').length > 0 ? [heading(4, 'In the path'), namedTable('name', inside('path'))] : []),
    ...(inside('header').length > 0 ? [heading(4, 'Request headers'), namedTable('header', inside('header'))] : []),
    ...bodyBlocks(document, [...takes, ...address], 'request', (each) => heading(4, `Request: ${each}`)),
    ...Object.entries(responses).flatMap(([status, response]) => responseBlocks(document, status, response)),
    ...errorBlocks(responses),
  ]
}

function samples({ 'x-codeSamples': all }: OperationObject): Block[] {
  const lines = all.flatMap(({ label, source }) => (all.length > 1 ? [`# ${label}`, source] : [source]))
  return lines.length === 0 ? [] : [{ kind: 'code', language: 'sh', text: lines.join('\n') }]
}

const asObject = (parameters: readonly ParameterObject[]): JsonSchema => ({
  properties: Object.fromEntries(
    parameters.map(({ name, schema, description }) => [
      name,
      { ...schema, ...(description !== undefined && { description }) },
    ]),
  ),
})

type Body = {
  /** Empty for the only one, which needs none. */
  readonly title: string
  readonly schema: JsonSchema
}

/** The first body with fields in full, and the others as what is different about them, where that is shorter. */
function bodyBlocks(
  document: OpenApi,
  bodies: readonly Body[],
  direction: Direction,
  head: (title: string) => Block,
): Block[] {
  let first: { readonly title: string; readonly rows: readonly FieldRow[] } | undefined
  return bodies.flatMap(({ title, schema: given }) => {
    const schema = resolved(document, given)
    const rows = isError(given) ? [] : fieldRows(schema, direction)
    const meaning = isError(given) ? 'As in [errors](#errors).' : (schema.description ?? sentence(kindOf(schema)))
    if (rows.length === 0) return lead(title, meaning, head)
    const others = first && difference(first.title, first.rows, rows)
    first ??= { title, rows }
    return [...lead(title, schema.description, head), ...(others ?? [fieldTable(rows)])]
  })
}

/** A meaning in the line of its title, or below a heading. */
function lead(title: string, meaning: string | undefined, head: (title: string) => Block): Block[] {
  if (title === '') return meaning === undefined ? [] : [text(meaning)]
  const above = head(title)
  if (meaning === undefined) return [above]
  return above.kind === 'text' ? [text(`${above.text} ${meaning}`)] : [above, text(meaning)]
}

/** Undefined when most is different. */
function difference(title: string, known: readonly FieldRow[], rows: readonly FieldRow[]): Block[] | undefined {
  const added = rows.filter((row) => !known.some((each) => each.join() === row.join()))
  const absent = known.filter(([name]) => !rows.some((row) => row[0] === name)).map(([name]) => name)
  // With an object go the fields in it.
  const missing = absent.filter((name) => !absent.some((outer) => name.startsWith(`${outer.slice(0, -1)}.`)))
  if (added.length + missing.length > rows.length / 2) return undefined
  const same = `The fields of ${title}${missing.length > 0 ? ` without ${missing.join(', ')}` : ''}`
  return added.length > 0 ? [text(`${same}, and:`), fieldTable(added)] : [text(`${same}.`)]
}

function responseBlocks(document: OpenApi, status: string, response: ResponseObject): Block[] {
  const { description, content = {}, headers = {}, 'x-events': events = {} } = response
  if (isFailure(response)) return []
  const isOnly = Object.keys(content).length === 1
  const bodies = Object.entries(content).map(([type, { schema }]) => ({
    title: isOnly && type === 'application/json' ? '' : `\`${type}\``,
    schema,
  }))
  const data = Object.entries(events).map(([name, schema]) => ({ title: `Event \`${name}\``, schema }))
  return [
    heading(4, `${status}: ${description.replace(/\.$/, '')}`),
    ...bodyBlocks(document, [...bodies, ...data], 'reply', (title) => text(`${title}:`)),
    ...(Object.keys(headers).length > 0 ? [text('Headers:'), headerTable(headers)] : []),
  ]
}

const isError = ({ $ref }: JsonSchema): boolean => $ref !== undefined && nameOf($ref) === 'Error'

const isFailure = ({ content = {} }: ResponseObject): boolean =>
  Object.values(content).some(({ schema }) => isError(schema))

function errorBlocks(responses: OperationObject['responses']): Block[] {
  const items = Object.entries(responses)
    .filter(([status, response]) => status !== 'default' && isFailure(response))
    .map(([status, { description }]) => `${status}: ${description}`)
  return items.length === 0 ? [] : [heading(4, 'Errors'), { kind: 'list', items }]
}

function resolved({ components }: OpenApi, schema: JsonSchema): JsonSchema {
  const { $ref, ...beside } = schema
  return $ref === undefined ? schema : { ...components.schemas[nameOf($ref)], ...beside }
}

const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`

export const fieldTable = (rows: readonly FieldRow[]): Block => ({
  kind: 'table',
  head: ['field', 'kind', 'meaning'],
  rows,
})

export const headerTable = (headers: NonNullable<ResponseObject['headers']>): Block =>
  namedTable(
    'header',
    Object.entries(headers).map(([name, { description }]) => ({ name, description })),
  )

const namedTable = (
  head: string,
  named: readonly { readonly name: string; readonly description?: string }[],
): Block => ({
  kind: 'table',
  head: [head, 'meaning'],
  rows: named.map(({ name, description = '' }) => [`\`${name}\``, description]),
})
