/**
 * The document as a text for people: what holds everywhere first, then theme by theme each route, and at the end the shapes that stand in
 * several places.
 */
import { blocksOf, heading, text } from './blocks.ts'
import type { Block } from './blocks.ts'
import type { OpenApi } from './open-api.ts'
import { fieldRows, nameOf } from './fields.ts'
import { fieldTable, headerTable, operationBlocks } from './operation-reference.ts'

const ERROR_EXAMPLE = `{
  "error": { "message": "…", "type": "invalid_request_error", "param": "file", "code": "undecodable_audio" },
  "request_id": "…"
}`

export function referenceOf(document: OpenApi): Block[] {
  const { info, components, tags } = document
  const { Error: error = {} } = components.schemas
  return [
    heading(1, `${info.title} API`),
    ...blocksOf(info.description),
    heading(2, 'Access'),
    ...blocksOf(components.securitySchemes.key.description),
    heading(2, 'In every reply'),
    headerTable(components.headers),
    heading(2, 'Errors'),
    { kind: 'code', language: 'json', text: ERROR_EXAMPLE },
    ...blocksOf(error.description ?? ''),
    fieldTable(fieldRows(error, 'reply')),
    ...tags.flatMap(({ name, description }) => [
      heading(2, name),
      ...blocksOf(description),
      ...operationsOf(document, name),
    ]),
    heading(2, 'Shapes'),
    text('What stands in several places.'),
    ...shapesIn(document),
  ]
}

const operationsOf = (document: OpenApi, tag: string): Block[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { tags }]) => tags.includes(tag))
      .flatMap(([method, operation]) => operationBlocks(document, `${method.toUpperCase()} ${path}`, operation)),
  )

/** The named schemas that stand inside others; the rest are told where they stand. */
function shapesIn({ components, paths }: OpenApi): Block[] {
  const names = new Set(innerRefs([components.schemas, paths]))
  return Object.entries(components.schemas)
    .filter(([name]) => name !== 'Error' && names.has(name))
    .flatMap(([name, schema]) => [heading(3, name), fieldTable(fieldRows(schema, 'reply'))])
}

/** Names of what is pointed at, but not as the whole of a body. */
function innerRefs(value: unknown, key = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => innerRefs(item))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]) => {
    if (name !== '$ref') return innerRefs(field, name)
    return key === 'schema' ? [] : [nameOf(String(field))]
  })
}
