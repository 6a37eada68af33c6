/** A client of `/v1/realtime` for benches: it talks in real time, as a microphone would, and notes when it hears what. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pcm16, resample } from '@hearth/shared/audio'
import { decodeWav } from '@hearth/shared/wav'
import { WebSocket } from 'ws'
import { SPEECH } from './requests.ts'

const RATE_HZ = 24_000
const BYTES_PER_MS = (RATE_HZ * 2) / 1000
/** Below it a recording is silent. */
const SILENCE = 0.01

export type Recording = { readonly pcm: Buffer; readonly speechStartMs: number; readonly speechEndMs: number }

export function recordingOf(name: string): Recording {
  const { samples } = resample(decodeWav(readFileSync(join(SPEECH, name))), RATE_HZ)
  const isLoud = (sample: number) => Math.abs(sample) > SILENCE
  const msOf = (at: number) => (at / RATE_HZ) * 1000
  const pcm = Buffer.from(pcm16(samples))
  return { pcm, speechStartMs: msOf(samples.findIndex(isLoud)), speechEndMs: msOf(samples.findLastIndex(isLoud)) }
}

async function untilMs(dueMs: number): Promise<void> {
  const aheadMs = dueMs - performance.now()
  if (aheadMs > 1) await pause(aheadMs)
}

export type Event = { readonly type: string } & Record<string, unknown>
type Wait = { readonly type: string; readonly done: (atMs: number) => void }

export class Talker {
  readonly #socket: WebSocket
  readonly #frameMs: number
  #waits: Wait[] = []
  /** From the first byte to `session.created`. */
  readonly opened: Promise<number>
  readonly counts = new Map<string, number>()

  constructor(base: string, { frameMs = 40, query = '' } = {}) {
    this.#frameMs = frameMs
    const startedAt = performance.now()
    this.#socket = new WebSocket(`${base.replace('http', 'ws')}/v1/realtime${query}`)
    this.opened = this.heard('session.created').then((atMs) => atMs - startedAt)
    this.#socket.on('message', (data: Buffer) => {
      const atMs = performance.now()
      const { type }: Event = JSON.parse(data.toString('utf8'))
      this.counts.set(type, (this.counts.get(type) ?? 0) + 1)
      const [due, others] = [
        this.#waits.filter((wait) => wait.type === type),
        this.#waits.filter((wait) => wait.type !== type),
      ]
      this.#waits = others
      for (const wait of due) wait.done(atMs)
    })
  }

  send(event: object): void {
    this.#socket.send(JSON.stringify(event))
  }

  detect(turn_detection: object): void {
    this.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection } } } })
  }

  /** When the next event of that type comes. */
  heard(type: string): Promise<number> {
    return new Promise((done) => this.#waits.push({ type, done }))
  }

  /** Sends the sound at its own pace; resolves with when it began. */
  async speak(pcm: Buffer): Promise<number> {
    const startedAt = performance.now()
    const size = this.#frameMs * BYTES_PER_MS
    for (let at = 0; at < pcm.length; at += size) {
      // A microphone has a frame when it is over.
      await untilMs(startedAt + Math.min(at + size, pcm.length) / BYTES_PER_MS)
      this.send({ type: 'input_audio_buffer.append', audio: pcm.subarray(at, at + size).toString('base64') })
    }
    return startedAt
  }

  /** A recording and then silence until `type` is heard; gives the milliseconds from the end of the speech to that. */
  async turn({ pcm, speechEndMs }: Recording, type = 'response.output_audio.delta', limitMs = 15_000): Promise<number> {
    const times: number[] = []
    void this.heard(type).then((atMs) => times.push(atMs))
    const startedAt = await this.speak(pcm)
    const silence = Buffer.alloc(100 * BYTES_PER_MS)
    const until = performance.now() + limitMs
    while (times.length === 0 && performance.now() < until) await this.speak(silence)
    const [heardAt] = times
    if (heardAt === undefined)
      throw new Error(`no ${type} within ${limitMs} ms; so far: ${JSON.stringify([...this.counts])}`)
    return heardAt - (startedAt + speechEndMs)
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }
}
