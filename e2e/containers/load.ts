/** People who talk all the time: turns, transcriptions, speech and embeddings, one after another, and what became of each. */
import { recording } from '../spoken.ts'
import { untilTrue } from '../until-true.ts'

const REQUEST_LIMIT_MS = 60_000
const CLIENTS = 4

export type Load = {
  /** How many were answered well. */
  readonly count: () => number
  /** What was not, in words. */
  readonly failures: readonly string[]
  /** Resolves when so many more were answered. */
  goOn(count: number): Promise<void>
  /** Lets what is under way end. */
  stop(): Promise<void>
}

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

function upload(): RequestInit {
  const body = new FormData()
  body.set('file', recording('011.wav'))
  return { method: 'POST', body }
}

const KINDS: readonly (readonly [path: string, request: () => RequestInit])[] = [
  ['/generate', upload],
  ['/v1/audio/transcriptions', upload],
  [
    '/v1/audio/speech',
    () => json({ model: 'tts-1', voice: 'alloy', input: 'Open the window.', response_format: 'wav' }),
  ],
  ['/v1/embeddings', () => json({ model: 'text-embedding-3-small', input: ['one', 'two'] })],
]

export function startLoad(url: string): Load {
  const failures: string[] = []
  let answered = 0
  const over = new AbortController()

  async function ask(path: string, request: RequestInit): Promise<void> {
    try {
      const answer = await fetch(url + path, { ...request, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) })
      const body = await answer.arrayBuffer()
      if (answer.ok && body.byteLength > 0) answered++
      else failures.push(`${path}: ${answer.status} ${Buffer.from(body).toString().slice(0, 300)}`)
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? `${error.message}, ${String(error.cause)}` : String(error)}`)
    }
  }

  async function talk(first: number): Promise<void> {
    for (let turn = first; !over.signal.aborted; turn++) {
      const kind = KINDS[turn % KINDS.length]
      if (kind) await ask(kind[0], kind[1]())
    }
  }

  const clients = Array.from({ length: CLIENTS }, (_, client) => talk(client))
  return {
    count: () => answered,
    failures,
    goOn: (count) => {
      const goal = answered + count
      return untilTrue(async () => answered >= goal || failures.length > 0)
    },
    stop: async () => {
      over.abort()
      await Promise.all(clients)
    },
  }
}
