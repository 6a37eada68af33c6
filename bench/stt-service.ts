/** The speech service under load: what a lone request waits for company, whether `/health` answers meanwhile, and live clients at real time. */
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeWav } from '@hearth/shared/wav'
import { quantile, round } from './figures.ts'
import { startFakes } from './processes.ts'
import { SPEECH } from './requests.ts'
import type { BenchStack } from './stack.ts'

const FILE = `${SPEECH}/012.wav`
const LOAD_CLIENTS = 8
const LIVE_CLIENTS = 8
const RATE_HZ = 16_000
/** As WhisperLive's clients send. */
const MESSAGE_SAMPLES = 4096

/** A request that no cache knows: each has another threshold for the voice. */
async function request(base: string): Promise<{ queueMs: number; spentMs: number }> {
  const body = new FormData()
  body.set('file', new Blob([await readFile(FILE)]), 'a.wav')
  body.set('language', 'en')
  body.set('chunking_strategy[type]', 'server_vad')
  body.set('chunking_strategy[threshold]', String(0.4 + Math.random() * 0.1))
  const start = performance.now()
  const answer = await fetch(`${base}/v1/audio/transcriptions`, { method: 'POST', body })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`)
  return { queueMs: Number(answer.headers.get('x-queue-time')), spentMs: performance.now() - start }
}

export async function benchLone({ url }: BenchStack) {
  const all = []
  for (let count = 0; count < 50; count++) all.push(await request(url.stt))
  const waits = all.map(({ queueMs }) => queueMs)
  const spent = all.map(({ spentMs }) => spentMs)
  return {
    'lone request waits for its batch, p50 ms': round(quantile(waits, 0.5), 2),
    'p95 ms': round(quantile(waits, 0.95), 2),
    'whole request p50 ms': round(quantile(spent, 0.5)),
  }
}

export async function benchHealth({ url }: BenchStack, seconds: number) {
  const until = performance.now() + seconds * 1000
  let done = 0
  const client = async () => {
    for (; performance.now() < until; done++) await request(url.stt)
  }
  const probe = async (base: string) => {
    const times: number[] = []
    while (performance.now() < until) {
      const start = performance.now()
      await (await fetch(`${base}/health`)).arrayBuffer()
      times.push(performance.now() - start)
      await pause(20)
    }
    return times
  }
  const bare = await startFakes()
  try {
    const probes = Promise.all([probe(url.stt), probe(bare.url)])
    await Promise.all(Array.from({ length: LOAD_CLIENTS }, client))
    const [health, idle] = await probes
    return {
      clients: LOAD_CLIENTS,
      'requests per s': round(done / seconds),
      '/health p50 ms': round(quantile(health, 0.5)),
      '/health p99 ms': round(quantile(health, 0.99)),
      // Its process does nothing else: this is what the machine's want of cores costs, this client's included.
      'a server without work p50 ms': round(quantile(idle, 0.5)),
      'a server without work p99 ms': round(quantile(idle, 0.99)),
    }
  } finally {
    bare.stop()
  }
}

/** Each says the same sentences over and over, as fast as a person would. */
export async function benchLive({ url }: BenchStack, seconds: number) {
  const names = ['012.wav', '007.wav', '017.wav']
  const files = await Promise.all(names.map((name) => readFile(`${SPEECH}/${name}`)))
  const speech = files.flatMap((file) => [...decodeWav(file).samples, ...new Float32Array(RATE_HZ)])
  const before = await residentBytes(url.stt)
  const samples: Sample[] = []
  const started = performance.now()
  const watch = setInterval(() => {
    void residentBytes(url.stt).then((bytes) => samples.push({ seconds: (performance.now() - started) / 1000, bytes }))
  }, 2000)
  const utterances = await Promise.all(
    Array.from({ length: LIVE_CLIENTS }, (_, at) =>
      talk(url.stt, Float32Array.from(speech), { seconds, lateMs: at * 130 }),
    ),
  )
  clearInterval(watch)
  const text = await (await fetch(`${url.stt}/metrics`)).text()
  const late = samples.filter((sample) => sample.seconds > seconds / 2)
  return {
    'live clients': LIVE_CLIENTS,
    seconds,
    'finished segments': utterances.reduce((sum, count) => sum + count, 0),
    'partial p50 ms': bucketQuantile(text, 0.5),
    'partial p95 ms': bucketQuantile(text, 0.95),
    'memory at first MB': round(before / 1e6),
    'and by minutes': byMinutes(samples).join(' '),
    'growth in the second half MB/min': round(growthPerMinute(late), 2),
  }
}

async function talk(
  base: string,
  speech: Float32Array,
  { seconds, lateMs }: { seconds: number; lateMs: number },
): Promise<number> {
  const socket = new WebSocket(base.replace(/^http/, 'ws'))
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const { promise: ready, resolve: greeted } = Promise.withResolvers<void>()
  const seen = new Set<string>()
  socket.addEventListener('close', () => resolve())
  socket.addEventListener('open', () =>
    socket.send(JSON.stringify({ uid: crypto.randomUUID(), language: 'en', task: 'transcribe' })),
  )
  socket.addEventListener('message', ({ data }) => {
    const { message, segments = [] } = JSON.parse(String(data)) as {
      message?: string
      segments?: { start: string; completed: boolean }[]
    }
    if (message === 'SERVER_READY') greeted()
    for (const { start, completed } of segments) if (completed) seen.add(start)
  })
  await ready
  await pause(lateMs)
  const started = performance.now()
  for (let sent = 0; sent < seconds * RATE_HZ; sent += MESSAGE_SAMPLES) {
    const at = sent % (speech.length - MESSAGE_SAMPLES)
    socket.send(speech.slice(at, at + MESSAGE_SAMPLES))
    await pause(Math.max(0, started + ((sent + MESSAGE_SAMPLES) / RATE_HZ) * 1000 - performance.now()))
  }
  socket.send(new TextEncoder().encode('END_OF_AUDIO'))
  await closed
  return seen.size
}

type Sample = { readonly seconds: number; readonly bytes: number }

/** The median megabytes of each minute: a garbage collection more or less does not show. */
function byMinutes(samples: readonly Sample[]): number[] {
  const minutes = Map.groupBy(samples, (sample) => Math.floor(sample.seconds / 60))
  return [...minutes.values()].map((minute) =>
    round(
      quantile(
        minute.map(({ bytes }) => bytes / 1e6),
        0.5,
      ),
    ),
  )
}

/** The slope of the line through all samples, by least squares; megabytes. */
function growthPerMinute(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const middle = { seconds: mean(samples.map((each) => each.seconds)), bytes: mean(samples.map((each) => each.bytes)) }
  const rises = samples.map((each) => (each.seconds - middle.seconds) * (each.bytes - middle.bytes))
  const spans = samples.map((each) => (each.seconds - middle.seconds) ** 2)
  return ((mean(rises) / mean(spans)) * 60) / 1e6
}

async function residentBytes(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text()
  return Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1])
}

/** The upper edge of the bucket in which the quantile lies. */
function bucketQuantile(text: string, q: number): string {
  const buckets = [...text.matchAll(/^hearth_live_partial_duration_seconds_bucket\{le="([^"]+)"[^}]*\} (\d+)$/gm)]
  const total = Number(buckets.at(-1)?.[2] ?? 0)
  const [, edge = '?'] = buckets.find(([, , count]) => Number(count) >= q * total) ?? []
  return `<= ${round(Number(edge) * 1000)}`
}
