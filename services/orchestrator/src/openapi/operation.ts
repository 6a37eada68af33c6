/**
 * The words in which a route is described. The one idea: a description names the very schemas that the route reads with, so that only what
 * a schema can't say (why, when, with which example) is written by hand.
 */
import type { ErrorCode } from '@hearth/shared/errors'
import type * as z from 'zod'

/** Schemas by content type. */
export type Content = Readonly<Record<string, z.ZodType>>

export type Reply = {
  readonly description: string
  readonly content?: Content
  /** Meanings by name, beside the headers that every reply has. */
  readonly headers?: Readonly<Record<string, string>>
  /** For a stream of server-sent events: the data of each, by the event's name; `message` for those without one. */
  readonly events?: Readonly<Record<string, z.ZodType>>
}

/** A request that works, from which both the curl command and a test are made. */
export type Example = {
  readonly title?: string
  /** Values of the path's parameters. */
  readonly path?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** The body, in one of three forms. */
  readonly json?: object
  /** A multipart form; a value `@models/speech/008.wav` is that file, as curl writes it. */
  readonly form?: Readonly<Record<string, string>>
  /** The bytes of a file. */
  readonly file?: { readonly name: string; readonly type: string }
  /** Where curl puts a reply that is no text. */
  readonly output?: string
}

export type Operation = {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  /** With parameters as `{id}`. */
  readonly path: string
  /** For generated clients: unique, such as `listSessions`. */
  readonly id: string
  readonly summary: string
  /** Markdown: paragraphs, lists and tables. */
  readonly description?: string
  /** Meanings of the path's parameters, by name. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly query?: z.ZodObject
  /** Meanings of request headers, by name. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Content
  /** By status. */
  readonly replies: Readonly<Record<number, Reply>>
  /** What may go wrong, beside what may go wrong everywhere. */
  readonly errors: readonly ErrorCode[]
  /** Needs no API key. */
  readonly isOpen?: true
  readonly examples: readonly Example[]
}

/** Operations that a reader looks for in one place. */
export type Theme = { readonly name: string; readonly description: string; readonly operations: readonly Operation[] }

const BODY = [
  'body_too_large',
  'incomplete_body',
  'request_timeout',
  'unsupported_content_type',
  'unsupported_encoding',
] as const
const FIELDS = ['invalid_request', 'unknown_field', 'duplicate_field'] as const

/** What reading a body may throw (shared/request-body). */
export const JSON_ERRORS = [...BODY, ...FIELDS, 'invalid_json', 'invalid_encoding'] as const satisfies ErrorCode[]
export const FORM_ERRORS = [...BODY, ...FIELDS, 'invalid_multipart', 'missing_file'] as const satisfies ErrorCode[]

/** What reading a WAV may throw (shared/wav). */
export const WAV_ERRORS = [
  'empty_audio',
  'undecodable_audio',
  'unsupported_media',
  'unsupported_sample_rate',
  'invalid_samples',
  'audio_too_short',
  'audio_too_long',
] as const satisfies ErrorCode[]
