/** `/v1/models` over all services: what each of them lists, and the language model. A service that is away is left out, and named. */
import { HEADERS } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import type { Log } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import type { Send } from './replica-send.ts'
import { within } from './stages/limit.ts'

export type ModelListOptions = {
  /** Base addresses by stage. */
  readonly services: Readonly<Record<string, string>>
  readonly models: () => readonly ModelStatus[]
  readonly listMs: number
  readonly log: Log
  readonly send: Send
}

const Entry = z.looseObject({ id: z.string() })
const List = z.object({ data: z.array(Entry) })
type Entry = z.infer<typeof Entry>

type Answers = { readonly found: readonly Entry[]; readonly away: readonly string[] }

/** Adds `GET /v1/models` and `GET /v1/models/{id}`. */
export function addModelLists(app: Hono<AppEnv>, options: ModelListOptions): void {
  const own = () => options.models().map(describe)

  app.get('/v1/models', async (c) => {
    const { found, away } = await askAll(c, '/v1/models', options)
    if (away.length > 0) c.header('x-degraded', away.join(', '))
    return c.json({ object: 'list', data: [...own(), ...found] })
  })

  app.get('/v1/models/:id{.+}', async (c) => {
    const id = c.req.param('id')
    const mine = own().find((model) => model.id === id)
    if (mine) return c.json(mine)
    const path = id.split('/').map(encodeURIComponent).join('/')
    const { found, away } = await askAll(c, `/v1/models/${path}`, options)
    const [first] = found
    if (first) return c.json(first)
    throw unknownModel(id, away)
  })
}

const describe = ({ id, state }: ModelStatus) => ({
  id,
  object: 'model',
  created: 0,
  owned_by: 'hearth',
  task: 'text-generation',
  state,
})

function unknownModel(id: string, away: readonly string[]): AppError {
  const shown = /^[\w./:-]{1,100}$/.test(id) ? `\`${id}\`` : 'of that name'
  if (away.length === 0) return new AppError('model_not_found', `The model ${shown} does not exist`, { param: 'model' })
  const message = `the model ${shown} is not known here, and ${away.join(', ')} can't be asked`
  return new AppError('dependency_unavailable', message, { details: { stage: away[0] }, retryAfterMs: 1000 })
}

async function askAll(c: Context<AppEnv>, path: string, options: ModelListOptions): Promise<Answers> {
  const signal = requestSignal(c)
  const headers = { [HEADERS.requestId]: c.get('requestId') }
  const asked = Object.entries(options.services).map(async ([stage, url]) => {
    try {
      const found = await within(options.listMs, signal, (limit) => ask(options.send, `${url}${path}`, headers, limit))
      return { stage, found }
    } catch (err) {
      signal.throwIfAborted()
      options.log.warn({ requestId: c.get('requestId'), stage, err }, 'a service did not tell its models')
      return { stage, found: null }
    }
  })
  const answers = await Promise.all(asked)
  return {
    found: answers.flatMap(({ found }) => found ?? []),
    away: answers.filter(({ found }) => found === null).map(({ stage }) => stage),
  }
}

/** A list's entries, the one entry, or none when the service doesn't know it. */
async function ask(
  send: Send,
  address: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Entry[]> {
  const reply = await send(address, () => ({ headers, redirect: 'error', signal }))
  const body: unknown = await reply.json()
  if (reply.status === 404) return []
  if (!reply.ok) throw new Error(`expected a list of models, got ${reply.status}`)
  const list = List.safeParse(body)
  return list.success ? list.data.data : [Entry.parse(body)]
}
