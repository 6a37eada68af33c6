/** zod's schemas as JSON Schema 2020-12, which is what OpenAPI 3.1 speaks: what a caller may send, or gets. */
import * as z from 'zod'

export type JsonSchema = z.core.JSONSchema.BaseSchema

export type Schemas = {
  readonly named: Readonly<Record<string, JsonSchema>>
  /** A reference to a named schema, else the schema itself. Only for those that were handed in. */
  of(schema: z.ZodType): JsonSchema
}

const PLACE = '#/components/schemas/'

/** The named ones become components wherever they stand; the others are written where they are used. */
export function describeSchemas(named: Readonly<Record<string, z.ZodType>>, others: Iterable<z.ZodType>): Schemas {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id })
  // As fields of one object, the others are written in one go, and a named one among them is a reference.
  const places = new Map([...others].map((schema, at) => [schema, String(at)]))
  const all = z.object(Object.fromEntries([...places].map(([schema, place]) => [place, schema])))
  registry.add(all, { id: OTHERS })
  const written = z.toJSONSchema(registry, { io: 'input', uri: (id) => PLACE + id, override: adjust }).schemas
  const { properties = {} } = written[OTHERS] ?? {}
  return {
    named: Object.fromEntries(Object.keys(named).map((name) => [name, withoutIds(written[name] ?? {})])),
    of(schema) {
      const found = properties[places.get(schema) ?? '']
      if (typeof found !== 'object') throw new Error('expected a schema that was handed in: this is a bug')
      return found
    },
  }
}

const OTHERS = 'Others'

function withoutIds(schema: JsonSchema): JsonSchema {
  const { $schema: _, $id: __, ...rest } = schema
  return rest
}

type Found = { readonly zodSchema: z.core.$ZodTypes; readonly jsonSchema: JsonSchema }

/**
 * Where the two languages differ. A field is required when its schema refuses to go without it. `readOnly` is TypeScript's word here and
 * means something else in OpenAPI. A schema that reads its input first tells in its metadata what it `accepts`.
 */
function adjust({ zodSchema, jsonSchema }: Found): void {
  delete jsonSchema.readOnly
  delete jsonSchema.propertyNames
  const { accepts } = jsonSchema
  if (accepts instanceof z.ZodType) {
    const { description } = jsonSchema
    for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
    const { $schema: _, ...accepted } = z.toJSONSchema(accepts, { io: 'input', override: adjust })
    Object.assign(jsonSchema, accepted, description !== undefined && { description })
  }
  if (!(zodSchema instanceof z.ZodObject)) return
  const required = jsonSchema.required?.filter((name) => {
    const field = zodSchema.shape[name]
    return field !== undefined && !z.safeParse(field, undefined).success
  })
  if (required?.length) jsonSchema.required = required
  else delete jsonSchema.required
}
