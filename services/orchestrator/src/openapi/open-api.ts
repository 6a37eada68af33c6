/** The part of OpenAPI 3.1 that our document is written in. */
import type { JsonSchema } from './schemas.ts'

type MediaObject = { readonly schema: JsonSchema; readonly example?: unknown }
export type ContentObject = Readonly<Record<string, MediaObject>>
export type HeaderObject = { readonly description: string; readonly schema: JsonSchema }
export type ResponseObject = {
  readonly description: string
  readonly headers?: Readonly<Record<string, HeaderObject>>
  readonly content?: ContentObject
  /** The data of each server-sent event by its name: OpenAPI 3.1 has no words for it. */
  readonly 'x-events'?: Readonly<Record<string, JsonSchema>>
}
export type ParameterObject = {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly description?: string
  readonly schema: JsonSchema
}
export type OperationObject = {
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly security?: readonly []
  readonly parameters?: readonly ParameterObject[]
  readonly requestBody?: { readonly required: true; readonly content: ContentObject }
  readonly responses: Readonly<Record<string, ResponseObject>>
  /** Commands that work. */
  readonly 'x-codeSamples': readonly { readonly lang: 'Shell'; readonly label: string; readonly source: string }[]
}

export type OpenApi = {
  readonly openapi: string
  readonly info: {
    readonly title: string
    readonly version: string
    readonly description: string
    readonly license: object
  }
  readonly servers: readonly { readonly url: string }[]
  readonly security: readonly object[]
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly headers: Readonly<Record<string, HeaderObject>>
    readonly securitySchemes: {
      readonly key: { readonly type: string; readonly scheme: string; readonly description: string }
    }
  }
}
