/** A /v1/realtime that says what the test wants, in place of the real one: for what a real conversation can't be made to do on time. */
import type { Page, WebSocketRoute } from 'playwright-core'
import { untilTrue } from './until-true.ts'

type Event = { readonly type: string; readonly [field: string]: unknown }

export type FakeRealtime = {
  /** Everything the page sent. */
  readonly sent: Event[]
  /** Addresses of the connections, oldest first. */
  readonly urls: string[]
  say(...events: Event[]): void
  close(code?: number): Promise<void>
  /** The first event of that type after the first `after` events; waits for it. */
  hears(type: string, after?: number): Promise<Event>
}

export async function fakeRealtime(page: Page): Promise<FakeRealtime> {
  const sent: Event[] = []
  const urls: string[] = []
  let socket: WebSocketRoute | undefined
  await page.routeWebSocket(/\/v1\/realtime/, (route) => {
    socket = route
    urls.push(route.url())
    route.onMessage((text) => void sent.push(JSON.parse(String(text)) as Event))
    route.send(JSON.stringify({ type: 'session.created' }))
  })
  const find = (type: string, after: number) => sent.slice(after).find((event) => event.type === type)
  return {
    sent,
    urls,
    say: (...events) => events.forEach((event) => socket?.send(JSON.stringify(event))),
    close: async (code = 1001) => socket?.close({ code }),
    hears: async (type, after = 0) => {
      await untilTrue(async () => find(type, after) !== undefined)
      return find(type, after) ?? { type }
    },
  }
}

const RATE_HZ = 24_000

/** A quiet tone of that length, as the protocol's base64. */
export function tone(seconds: number): string {
  const samples = Int16Array.from(
    { length: RATE_HZ * seconds },
    (_, at) => 3000 * Math.sin((2 * Math.PI * 300 * at) / RATE_HZ),
  )
  return Buffer.from(samples.buffer).toString('base64')
}

/** A reply with its sound, up to but not with its end. */
export const replyEvents = (text: string, seconds: number, id = 'r1'): Event[] => [
  { type: 'response.created', response: { id } },
  {
    type: 'response.output_item.added',
    response_id: id,
    item: { id: `${id}-item`, type: 'message', role: 'assistant' },
  },
  { type: 'response.output_audio_transcript.delta', response_id: id, item_id: `${id}-item`, delta: text },
  { type: 'response.output_audio.delta', response_id: id, item_id: `${id}-item`, delta: tone(seconds) },
]

export const replyDone = (id = 'r1', status = 'completed'): Event => ({
  type: 'response.done',
  response: { id, status },
})
