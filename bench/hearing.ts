/**
 * When a conversation hears that somebody begins and has ended, how often it takes a pause for the end, and what listening costs. Times of
 * turns are counted in samples, so they are the same on every machine; the processor's time is not.
 *
 *   npm run bench -- hearing [--part turns|cost|live]
 */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SpeechWatch } from '@hearth/hearing/speech-watch'
import type { Ears, TurnDetection } from '@hearth/hearing/speech-watch'
import { createJudge, createTurnEndModel } from '@hearth/hearing/turn-end-model'
import { createVoiceModel } from '@hearth/hearing/voice-model'
import { COMMON_SECTIONS, storeOptions } from '@hearth/shared/service-settings'
import { readConfig } from '@hearth/shared/config'
import { createLogger } from '@hearth/shared/telemetry'
import { median, quantile, round, show } from './figures.ts'
import { beginningOf, RATE_HZ, sentences, streamOf } from './hearing-sounds.ts'
import type { Stream } from './hearing-sounds.ts'

const { values: given } = parseArgs({ options: { part: { type: 'string' } } })
const isAsked = (part: string) => given.part === undefined || given.part === part
const LIVE_SECONDS = 4
const log = createLogger({ service: 'bench', level: 'silent' })
const never = new AbortController().signal
const voice = createVoiceModel({ log, rows: 32 })
const turnEnd = createTurnEndModel({
  settings: {},
  store: storeOptions(readConfig(COMMON_SECTIONS, process.env), {}, log),
  log,
})
await turnEnd.ready(never)
const ears: Ears = { followVoice: voice.followVoice, judgeTurnEnd: createJudge({ model: turnEnd, log }) }

const vad = (silenceMs: number): TurnDetection => ({
  type: 'server_vad',
  threshold: 0.5,
  prefixPaddingMs: 300,
  silenceMs,
})
const WAYS: Record<string, TurnDetection> = {
  'server_vad 200': vad(200),
  'server_vad 500': vad(500),
  'semantic high': { type: 'semantic_vad', eagerness: 'high' },
  'semantic medium': { type: 'semantic_vad', eagerness: 'medium' },
  'semantic low': { type: 'semantic_vad', eagerness: 'low' },
}
const PUSH = 320 // 20 ms, as clients send it

/** Events of a stream with the position at which each was known. */
async function hear({ samples }: Stream, detection: TurnDetection) {
  const watch = new SpeechWatch({ ...ears, detection })
  const heard = []
  for (let at = 0; at < samples.length; at += PUSH)
    for (const event of await watch.push(samples.subarray(at, at + PUSH), never))
      heard.push({ ...event, known: watch.position })
  return heard
}

const toMs = (samples: number) => (samples * 1000) / RATE_HZ

/** Milliseconds from a sentence's first sound to `started`, how far before it the turn begins, and from its last sound to `stopped`. */
async function latencies(detection: TurnDetection, noiseDb?: number) {
  const [begun, reach, ended]: number[][] = [[], [], []]
  let missed = 0
  for (const sentence of sentences) {
    const stream = streamOf(sentence, { ...(noiseDb !== undefined && { noiseDb }) })
    const events = await hear(stream, detection)
    const [started, stopped] = [
      events.find(({ type }) => type === 'started'),
      events.findLast(({ type }) => type === 'stopped'),
    ]
    if (!started || !stopped) {
      missed++
      continue
    }
    begun?.push(toMs(started.known - stream.from))
    reach?.push(toMs(stream.from - started.atSample))
    ended?.push(toMs(stopped.known - stream.to))
  }
  const of = (values: readonly number[] = []) =>
    [round(median(values), 0), round(quantile(values, 0.95), 0)].join(' / ')
  return { 'started ms': of(begun), 'begins before ms': of(reach), 'stopped ms': of(ended), missed }
}

/** Sentences with a pause in their middle that was taken for their end. */
async function cuts(detection: TurnDetection, pauseMs: number): Promise<string> {
  const paused = sentences.filter(({ cut }) => cut !== null)
  let wrong = 0
  for (const sentence of paused) {
    const stream = streamOf(sentence, { pauseMs })
    const events = await hear(stream, detection)
    if (events.some(({ type, known }) => type === 'stopped' && known < stream.to)) wrong++
  }
  return `${wrong} of ${paused.length}`
}

async function turns() {
  const rows = []
  for (const [way, detection] of Object.entries(WAYS)) {
    const quiet = await latencies(detection)
    const noisy = await latencies(detection, 15)
    rows.push({
      way,
      ...quiet,
      'stopped ms, noise 15 dB below': noisy['stopped ms'],
      'missed in noise': noisy.missed,
      'cut at 300 ms': await cuts(detection, 300),
      'cut at 600 ms': await cuts(detection, 600),
      'cut at 1000 ms': await cuts(detection, 1000),
    })
  }
  return rows
}

async function judgements() {
  const pause = 7 * 512
  const judge = async (samples: Float32Array) => {
    const asked = new Float32Array(samples.length + pause)
    asked.set(samples)
    return (await turnEnd.submit({ samples: asked }, never)).output
  }
  const whole = await Promise.all(sentences.map(({ samples }) => judge(samples)))
  const cut = await Promise.all(sentences.filter((each) => each.cut !== null).map((each) => judge(beginningOf(each))))
  return [0.3, 0.5, 0.7].map((sure) => ({
    model: turnEnd.status.id,
    sure,
    'whole judged over': `${whole.filter((p) => p >= sure).length} of ${whole.length}`,
    'cut judged over': `${cut.filter((p) => p >= sure).length} of ${cut.length}`,
  }))
}

/** `count` conversations at once for `seconds` each, as fast as they go: 20 ms of all of them, then the next. */
async function cost(count: number, seconds: number, detection: TurnDetection) {
  const talk = streamOf(sentences[0] ?? { samples: new Float32Array(RATE_HZ), cut: null }, { noiseDb: 20 }).samples
  const watches = Array.from({ length: count }, () => new SpeechWatch({ ...ears, detection }))
  const spentMs: number[] = []
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  for (let at = 0; at < seconds * RATE_HZ; at += PUSH) {
    const from = at % (talk.length - PUSH)
    const pushedAt = performance.now()
    await Promise.all(watches.map((watch) => watch.push(talk.slice(from, from + PUSH), never)))
    spentMs.push(performance.now() - pushedAt)
  }
  const { user, system } = process.cpuUsage(cpu)
  const spoken = count * seconds
  return {
    conversations: count,
    detection: detection.type,
    'cpu ms per second of sound': round((user + system) / 1000 / spoken, 2),
    'times real time': round((spoken * 1000) / (performance.now() - startedAt), 0),
    'push ms p50': round(median(spentMs), 2),
    'push ms p95': round(quantile(spentMs, 0.95), 2),
  }
}

/**
 * `count` conversations for 4 s, each in its own time and at a moment of its own, as clients send it: what a second of sound costs all threads and
 * the serving one, when the detector works at will and when it keeps a pace.
 */
async function live(count: number, pieceMs: number, paceMs: number) {
  const paced = createVoiceModel({ log, rows: 32, paceMs })
  await paced.followVoice({ samples: new Float32Array(512) }, never)
  const talk = streamOf(sentences[0] ?? { samples: new Float32Array(RATE_HZ), cut: null }, { noiseDb: 20 }).samples
  const waits: Promise<number>[] = []
  const talkOf = async (who: number) => {
    const watch = new SpeechWatch({ ...ears, followVoice: paced.followVoice, detection: vad(500) })
    const size = (pieceMs * RATE_HZ) / 1000
    const startedAt = performance.now() + (who / count) * pieceMs * 1.7
    for (let at = 0; at < LIVE_SECONDS * RATE_HZ; at += size) {
      await wait(Math.max(0, startedAt + (at * 1000) / RATE_HZ - performance.now()))
      const from = at % (talk.length - size)
      const pushedAt = performance.now()
      waits.push(watch.push(talk.slice(from, from + size), never).then(() => performance.now() - pushedAt))
    }
  }
  const [cpu, serving] = [process.cpuUsage(), process.threadCpuUsage()]
  await Promise.all(Array.from({ length: count }, (_, who) => talkOf(who)))
  const waitsMs = await Promise.all(waits)
  const perSecond = ({ user, system }: NodeJS.CpuUsage) => round((user + system) / 1000 / count / LIVE_SECONDS, 2)
  const row = {
    conversations: count,
    'piece ms': pieceMs,
    'pace ms': paceMs,
    'cpu ms per second of sound': perSecond(process.cpuUsage(cpu)),
    'of it this thread': perSecond(process.threadCpuUsage(serving)),
    'push ms p50': round(median(waitsMs), 1),
    'push ms p95': round(quantile(waitsMs, 0.95), 1),
  }
  await paced.close()
  return row
}

async function costs() {
  await cost(4, 5, vad(500)) // warms
  const rows = []
  for (const count of [1, 16])
    for (const detection of [vad(500), WAYS['semantic medium'] ?? vad(500)])
      rows.push(await cost(count, count === 1 ? 60 : 20, detection))
  return rows
}

async function lives() {
  const rows = []
  const crowds = [
    [1, 20],
    [16, 20],
    [40, 100],
  ] as const
  for (const [count, pieceMs] of crowds)
    // In turns, as other work on the machine changes.
    for (const paceMs of [0, 20, 0, 20]) rows.push(await live(count, pieceMs, paceMs))
  return rows
}

try {
  if (isAsked('turns')) {
    await show('hearing-turns', await turns())
    await show('hearing-turn-end', await judgements())
  }
  if (isAsked('cost')) await show('hearing-cost', await costs())
  if (isAsked('live')) await show('hearing-live', await lives())
} finally {
  await Promise.all([voice.close(), turnEnd.close()])
}
