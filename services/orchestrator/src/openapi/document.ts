/**
 * The OpenAPI 3.1 document of the orchestrator, put together from the themes' operations and the schemas that the code reads with.
 * To add a route, add an entry to its theme; a field comes by itself with its schema.
 */
import { GenerateReply, GenerateRequest, ModelStatus, ReadyReport, Transcription, TurnModels } from '@hearth/shared/api'
import { EmbeddingRequest, ModelEntry, SpeechRequest } from '@hearth/shared/model-api'
import { ERROR_CODES } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import type * as z from 'zod'
import { ChatRequest } from '../chat-request.ts'
import { CONVERSATIONS } from './themes/conversations.ts'
import { sampleOf } from './example.ts'
import { JOBS } from './themes/jobs.ts'
import { MEMORIES } from './themes/memories.ts'
import { OPENAI } from './themes/openai.ts'
import { OPERATIONS } from './themes/operations.ts'
import type {
  ContentObject,
  HeaderObject,
  OpenApi,
  OperationObject,
  ParameterObject,
  ResponseObject,
} from './open-api.ts'
import type { Content, Operation, Reply, Theme } from './operation.ts'
import {
  AnyEmbeddingsReply,
  ChatChunk,
  ChatReply,
  ErrorReply,
  JobReply,
  Session,
  SessionList,
  Turn,
} from './replies.ts'
import { describeSchemas } from './schemas.ts'
import type { Schemas } from './schemas.ts'
import { TALK } from './themes/talk.ts'
import { ACCESS, errorTable, EVENTS, EVERYWHERE, HEADERS, INTRODUCTION } from './texts.ts'

/** In the order in which a reader meets them. */
export const THEMES: readonly Theme[] = [TALK, CONVERSATIONS, MEMORIES, OPENAI, JOBS, OPERATIONS]

/** Schemas with a name of their own, which generated clients take over. */
const NAMED = {
  ChatChunk,
  ChatReply,
  ChatRequest,
  EmbeddingRequest,
  EmbeddingsReply: AnyEmbeddingsReply,
  Error: ErrorReply,
  GenerateReply,
  GenerateRequest,
  Job: JobReply,
  Model: ModelEntry,
  ModelStatus,
  ReadyReport,
  Session,
  SessionList,
  SpeechRequest,
  Transcription,
  Turn,
  TurnModels,
}

/** The whole document, the same for the same code. */
export function openApi(version: string): OpenApi {
  const schemas = describeSchemas(
    NAMED,
    THEMES.flatMap(({ operations }) => operations.flatMap(schemasOf)),
  )
  const paths: Record<string, Record<string, OperationObject>> = {}
  for (const theme of THEMES)
    for (const operation of theme.operations)
      (paths[operation.path] ??= {})[operation.method] = operationObject(operation, theme, schemas)
  return {
    openapi: '3.1.1',
    info: { title: 'Hearth', version, description: INTRODUCTION, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    tags: THEMES.map(({ name, description }) => ({ name, description })),
    paths,
    components: {
      schemas: { ...schemas.named, Error: { ...schemas.named['Error'], description: errorTable() } },
      headers: headerObjects(HEADERS),
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: ACCESS } },
    },
  }
}

function schemasOf({ query, body = {}, replies }: Operation): z.ZodType[] {
  const answers = Object.values(replies).flatMap(({ content = {}, events = {} }) => [content, events])
  return [...(query ? [query] : []), ...[body, ...answers].flatMap((content) => Object.values(content))]
}

function operationObject(operation: Operation, { name }: Theme, schemas: Schemas): OperationObject {
  const { id, summary, description, body, replies, isOpen, examples } = operation
  const parameters = parametersOf(operation, schemas)
  const answers = Object.entries(replies).map(([status, reply]) => [status, replyObject(reply, schemas)])
  const example = examples.find(({ json }) => json)?.json
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    tags: [name],
    ...(isOpen && { security: [] as const }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, content: contentObject(body, schemas, example) } }),
    responses: { ...errorReplies(operation), ...Object.fromEntries(answers) },
    'x-codeSamples': examples.map((each) => sampleOf(operation, each)),
  }
}

function parametersOf({ parameters = {}, query, headers = {} }: Operation, schemas: Schemas): ParameterObject[] {
  const text = { type: 'string' } as const
  const inPath = Object.entries(parameters).map(([name, description]) => ({
    name,
    in: 'path' as const,
    required: true,
    description,
    schema: text,
  }))
  const inHeaders = Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header' as const,
    required: false,
    description,
    schema: text,
  }))
  const fields = Object.entries((query && schemas.of(query).properties) ?? {})
  const inQuery = fields.map(([name, field]) => {
    const { description, ...schema } = typeof field === 'boolean' ? {} : field
    return { name, in: 'query' as const, required: false, ...(description !== undefined && { description }), schema }
  })
  return [...inPath, ...inQuery, ...inHeaders]
}

function replyObject({ description, content, headers, events }: Reply, schemas: Schemas): ResponseObject {
  const stream: ContentObject = events
    ? { 'text/event-stream': { schema: { type: 'string', description: EVENTS } } }
    : {}
  const told = Object.entries(events ?? {}).map(([name, schema]) => [name, schemas.of(schema)])
  return {
    description,
    ...(headers && { headers: headerObjects(headers) }),
    ...((content || events) && { content: { ...(content && contentObject(content, schemas)), ...stream } }),
    ...(events && { 'x-events': Object.fromEntries(told) }),
  }
}

const contentObject = (content: Content, schemas: Schemas, example?: object): ContentObject =>
  Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [
      type,
      { schema: schemas.of(schema), ...(example && type === 'application/json' && { example }) },
    ]),
  )

const headerObjects = (headers: Readonly<Record<string, string>>): Record<string, HeaderObject> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  )

/** What may go wrong, by status, with its codes; `default` for all that may go wrong everywhere. */
function errorReplies({ errors, isOpen }: Operation): Record<string, ResponseObject> {
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  const byStatus: Record<string, ErrorCode[]> = {}
  for (const code of new Set<ErrorCode>([...errors, ...(isOpen ? [] : ['unauthorized' as const])]))
    (byStatus[ERROR_CODES[code].status] ??= []).push(code)
  const told = Object.entries(byStatus).map(([status, codes]) => [
    status,
    { description: codes.map((code) => `\`${code}\``).join(', '), content },
  ])
  return { ...Object.fromEntries(told), default: { description: EVERYWHERE, content } }
}
