/** The HTTP side of the server: every request of the page goes through here, with the key where one is asked for, and a limit. */
import type { DoctorReport, ErrorBody, Finding, ModelStatus, StackReport } from '@hearth/shared/api'
import type { VoiceList } from '@hearth/shared/model-api'

export type KeptSession = { readonly id: string; readonly turns: number; readonly lastUsedAt: string }
export type Exchange = { readonly user: string; readonly reply: string }
export type KeptMemory = {
  readonly id: string
  readonly text: string
  readonly saidAt: number
  readonly supersededBy: string | null
}
const LIMIT_MS = 30_000
const KEY = 'hearth-key'

/** Asks the reader; called at most once at a time. */
export type AskForKey = () => Promise<string>

export class Server {
  readonly #askForKey: AskForKey
  #asking: Promise<string> | null = null

  constructor(askForKey: AskForKey) {
    this.#askForKey = askForKey
  }

  get key(): string | null {
    return sessionStorage.getItem(KEY)
  }

  /** Throws an Error in the server's words when it refuses. A missing or wrong key is asked for, and the request made again. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (this.key !== null) headers.set('authorization', `Bearer ${this.key}`)
    const response = await fetch(path, { signal: AbortSignal.timeout(LIMIT_MS), ...init, headers })
    if (response.status === 401) {
      this.#asking ??= this.#askForKey().finally(() => (this.#asking = null))
      sessionStorage.setItem(KEY, await this.#asking)
      return this.fetch(path, init)
    }
    if (!response.ok) throw new Error(await messageOf(response))
    return response
  }

  async json<T>(path: string, init?: RequestInit): Promise<T> {
    return (await (await this.fetch(path, init)).json()) as T
  }

  post(path: string, body: object, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    headers.set('content-type', 'application/json')
    return this.fetch(path, { method: 'POST', ...init, headers, body: JSON.stringify(body) })
  }

  async voices(): Promise<VoiceList['voices']> {
    return (await this.json<VoiceList>('v1/audio/voices')).voices
  }

  /** Of all services; a service that doesn't answer is left out. 503 only says that not all are ready, and has the same body. */
  async models(): Promise<readonly ModelStatus[]> {
    const response = await fetch('ready?verbose', { signal: AbortSignal.timeout(LIMIT_MS) })
    const { models, services = {} } = (await response.json()) as StackReport
    return [...models, ...Object.values(services).flatMap((service) => service?.models ?? [])]
  }

  async sessions(user: string): Promise<readonly KeptSession[]> {
    return (await this.json<{ sessions: KeptSession[] }>(`sessions?${new URLSearchParams({ user })}`)).sessions
  }

  async history(user: string, session: string): Promise<readonly Exchange[]> {
    const path = `sessions/${session}?${new URLSearchParams({ user })}`
    return (await this.json<{ history: Exchange[] }>(path)).history
  }

  async forgetSession(user: string, session: string): Promise<void> {
    await this.fetch(`sessions/${session}?${new URLSearchParams({ user })}`, { method: 'DELETE' })
  }

  memories(user: string, after?: string): Promise<{ memories: readonly KeptMemory[]; next: string | null }> {
    return this.json(`memories?${new URLSearchParams({ user, limit: '20', ...(after !== undefined && { after }) })}`)
  }

  async changeMemory(user: string, id: string, text: string): Promise<void> {
    const init = { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text }) }
    await this.fetch(`memories/${id}?${new URLSearchParams({ user })}`, init)
  }

  async forgetMemory(user: string, id: string): Promise<void> {
    await this.fetch(`memories/${id}?${new URLSearchParams({ user })}`, { method: 'DELETE' })
  }

  async metrics(): Promise<string> {
    return (await this.fetch('metrics')).text()
  }

  async doctor(): Promise<readonly Finding[]> {
    return (await this.json<DoctorReport>('doctor')).findings
  }
}

async function messageOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as ErrorBody | null
  return body?.error.message ?? `the server answered ${response.status}`
}

export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
