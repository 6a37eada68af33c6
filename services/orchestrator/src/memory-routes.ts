/**
 * People's control over what is remembered of them: list, search, change, forget, take out and bring in. Each request is for one user (`user`,
 * as in /generate); a memory of another user's is 404 like one that never was.
 */
import { NAME } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { replyStream, requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { check, readBytes, readJson } from '@hearth/shared/request-body'
import { parseStrictJson } from '@hearth/shared/strict-json'
import type { Log } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import type { ForeignNote, MemoryBook } from './stages/memory-book.ts'
import type { Note } from './stages/memory-note.ts'

export type MemoryRoutesOptions = { readonly memory: MemoryBook; readonly log: Log }

/** Who doesn't say who they are shares one memory. */
const USER = 'default'
const PAGE = 50
const LARGEST_PAGE = 200
const MOST_LINES = 100_000
const TEXT_CHARS = 500

const pageSize = z.coerce.number().int().min(1).max(LARGEST_PAGE).default(PAGE)
const user = NAME.default(USER)
const mark = z.string().min(1).max(64)

/** What the routes take in the address, and PATCH in its body. */
export const Owner = z.strictObject({ user })
export const ListAsked = z.strictObject({
  user,
  limit: pageSize,
  after: mark.optional(),
  text: z.string().min(1).max(TEXT_CHARS).optional(),
  session: NAME.optional(),
})
export const SearchAsked = z.strictObject({ user, limit: pageSize, q: z.string().min(1).max(8000) })

export const ChangeAsked = z
  .strictObject({ text: z.string().min(1).max(TEXT_CHARS), importance: z.number().min(0).max(1) })
  .partial()
  .refine((change) => Object.keys(change).length > 0, { error: 'expected text, importance or both' })

const time = z.int().min(0)
const Line = z.strictObject({
  id: mark.regex(/^[\w-]+$/, 'expected letters, digits, _ and -').optional(),
  text: z.string().regex(/\S/, 'expected a text that is not blank').max(TEXT_CHARS),
  /** Told by an export, and not taken: what is brought in belongs to the user of the request. */
  user: z.string().max(64).optional(),
  session: z.string().max(64).optional(),
  turn: z.string().max(64).nullish(),
  kind: z.enum(['statement', 'note']).optional(),
  topic: z.string().max(100).nullish(),
  createdAt: time.optional(),
  saidAt: time.optional(),
  importance: z.number().min(0).max(1).optional(),
  keywords: z.array(z.string().max(100)).max(32).optional(),
  links: z.array(mark).max(32).optional(),
  supersededBy: mark.nullish(),
})

/** Adds the routes under /memories. */
export function addMemoryRoutes(app: Hono<AppEnv>, { memory, log }: MemoryRoutesOptions): void {
  app.get('/memories', async (c) => {
    const { notes, next } = await memory.list(check(c.req.query(), ListAsked), requestSignal(c))
    return c.json({ memories: notes, next })
  })

  app.get('/memories/search', async (c) => {
    const { user: owner, q, limit } = check(c.req.query(), SearchAsked)
    return c.json({ memories: await memory.search(owner, q, limit, requestSignal(c)) })
  })

  app.get('/memories/export', (c) => {
    const { user: owner } = check(c.req.query(), Owner)
    const lines = exported(owner, memory, requestSignal(c))
    return c.body(replyStream(c, lines, log), 200, {
      'content-type': 'application/x-ndjson; charset=utf-8',
      'content-disposition': 'attachment; filename="memories.jsonl"',
    })
  })

  app.post('/memories/import', async (c) => {
    const { user: owner } = check(c.req.query(), Owner)
    const notes = parseLines(Buffer.from(await readBytes(c)))
    return c.json({ imported: await memory.take(owner, notes, requestSignal(c)) })
  })

  app.get('/memories/:id', async (c) => c.json(await memory.get(ownerOf(c), c.req.param('id'), requestSignal(c))))

  app.patch('/memories/:id', async (c) => {
    const change = await readJson(c, ChangeAsked)
    return c.json(await memory.change(ownerOf(c), c.req.param('id'), change, requestSignal(c)))
  })

  app.delete('/memories/:id', async (c) => {
    await memory.forget(ownerOf(c), c.req.param('id'), requestSignal(c))
    return c.body(null, 204)
  })

  app.delete('/memories', async (c) => c.json({ forgotten: await memory.forgetAll(ownerOf(c), requestSignal(c)) }))
}

const ownerOf = (c: Context): string => check(c.req.query(), Owner).user

/** One JSON object in each line, page after page, so that no memory is too large to take out. */
async function* exported(
  owner: string,
  memory: MemoryBook,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let after: string | undefined
  do {
    const { notes, next } = await memory.list({ user: owner, limit: LARGEST_PAGE, after }, signal)
    if (notes.length > 0) yield Buffer.from(notes.map(lineOf).join(''))
    after = next ?? undefined
  } while (after !== undefined)
}

/** Without its owner: who brings it in owns it then. */
function lineOf(note: Note): string {
  const { user: _, ...line } = note
  return `${JSON.stringify(line)}\n`
}

/** All lines or none. Throws the errors of a JSON body, with the line's number. */
function parseLines(bytes: Buffer): ForeignNote[] {
  const lines = decode(bytes)
    .split('\n')
    .map((line, at) => ({ line: line.trim(), number: at + 1 }))
    .filter(({ line }) => line !== '')
  if (lines.length > MOST_LINES)
    throw new AppError('batch_too_large', `expected at most ${MOST_LINES} lines, got ${lines.length}`)
  return lines.map(({ line, number }) => {
    try {
      return check(parseStrictJson(line), Line)
    } catch (error) {
      if (error instanceof AppError) throw new AppError(error.code, `line ${number}: ${error.message}`)
      throw error
    }
  })
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new AppError('invalid_encoding', 'expected UTF-8')
  }
}
