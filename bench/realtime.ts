/**
 * What a live conversation feels like: how soon it opens, how soon one is answered, how soon Hearth falls silent when one speaks; and what many
 * at once cost. Recorded speech in real time; each turn is another recording.
 *
 *   npm run bench -- realtime [--part open|turn|crowd|fakes|idle] [--turns 20] [--sessions 16]
 *   npm run bench -- realtime --part soak [--seconds 600]     ten minutes of talk, and what memory does meanwhile
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { quantile, round, show } from './figures.ts'
import { costOf, envOf, startFakes, startOrchestrator } from './processes.ts'
import { recordingOf, Talker } from './realtime-client.ts'
import { benchStack } from './stack.ts'

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    turns: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '600' },
    sessions: { type: 'string' },
  },
})
const TURNS = Number(values.turns)
const QUESTIONS = ['001', '003', '004', '006', '008', '009', '011', '012'].map((name) => recordingOf(`${name}.wav`))
const questionAt = (at: number) => QUESTIONS[at % QUESTIONS.length] ?? recordingOf('008.wav')
const MODES = {
  'server_vad, 200 ms': { type: 'server_vad', silence_duration_ms: 200 },
  'semantic_vad, auto': { type: 'semantic_vad', eagerness: 'auto' },
} as const
const FAKE_TIMES = { earMs: 100, firstTokenMs: 200, tokenMs: 1000 / 30 }

const p = (times: readonly number[], q: number) => round(quantile(times, q), 0)

/** The gauge that each scrape of `/metrics` resets. */
async function longestPauseMs(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text()
  return Number(/^hearth_event_loop_delay_max_seconds(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1]) * 1000
}

async function opening(base: string) {
  const times: number[] = []
  for (let count = 0; count < 50; count++) {
    const talker = new Talker(base)
    times.push(await talker.opened)
    await talker.close()
  }
  return { what: 'socket to session.created', n: times.length, 'p50 ms': p(times, 0.5), 'p95 ms': p(times, 0.95) }
}

/** A turn in a session of its own history; the reply is awaited, so that the next one interrupts nothing. */
async function held(talker: Talker, at: number): Promise<number> {
  const done = talker.heard('response.done')
  const ms = await talker.turn(questionAt(at))
  await done
  return ms
}

async function answering(base: string, mode: keyof typeof MODES) {
  const talker = new Talker(base)
  await talker.opened
  talker.detect(MODES[mode])
  await held(talker, 0)
  const times: number[] = []
  for (let at = 1; at <= TURNS; at++) times.push(await held(talker, at))
  await talker.close()
  const what = `end of speech to first sound, ${mode}`
  return { what, n: times.length, 'p50 ms': p(times, 0.5), 'p95 ms': p(times, 0.95) }
}

/** From the first sound of a speaker who interrupts to the event that ends the reply. */
async function interrupting(base: string) {
  const talker = new Talker(base)
  await talker.opened
  talker.detect(MODES['server_vad, 200 ms'])
  const times: number[] = []
  for (let at = 0; at < TURNS; at++) {
    await held(talker, at)
    const { pcm, speechStartMs } = questionAt(at + 1)
    const heard = talker.heard('input_audio_buffer.speech_started')
    const done = talker.heard('response.done')
    const startedAt = await talker.speak(pcm)
    times.push((await heard) - (startedAt + speechStartMs))
    await talker.speak(Buffer.alloc(48_000))
    await done
  }
  await talker.close()
  return { what: 'barge-in to silence', n: times.length, 'p50 ms': p(times, 0.5), 'p95 ms': p(times, 0.95) }
}

/** Clients that open a conversation and say nothing. */
async function idling({ base, pid }: Place, count: number) {
  const before = await costOf(pid)
  const talkers = Array.from({ length: count }, () => new Talker(base))
  const times = await Promise.all(talkers.map(({ opened }) => opened))
  const after = await costOf(pid)
  await Promise.all(talkers.map((talker) => talker.close()))
  return {
    what: 'opened at once, silent',
    sockets: count,
    'p95 ms': p(times, 0.95),
    'memory per socket KB': round(((after.rssMb - before.rssMb) * 1024) / count, 0),
  }
}

type Place = { readonly base: string; readonly pid: number }

/** `count` people who talk for some turns each, all at the same time. */
async function crowd({ base, pid }: Place, what: string, count: number, turns: number) {
  const before = await costOf(pid)
  await longestPauseMs(base)
  const startedAt = performance.now()
  const times: number[] = []
  const problems: unknown[] = []
  const talk = async (who: number) => {
    // Not all of them begin at the same moment.
    await pause((who / count) * 2000)
    const talker = new Talker(base, { frameMs: 100 })
    await talker.opened
    talker.detect(MODES['server_vad, 200 ms'])
    for (let at = 0; at < turns; at++) {
      await held(talker, who + at).then(
        (ms) => times.push(ms),
        (error: unknown) => problems.push(error),
      )
    }
    return talker
  }
  const talkers = await Promise.all(Array.from({ length: count }, (_, who) => talk(who)))
  const [after, gapMs] = [await costOf(pid), await longestPauseMs(base)]
  const sessionSeconds = (count * (performance.now() - startedAt)) / 1000
  const spent = (cost: 'cpuMs' | 'servingMs') => round((after[cost] - before[cost]) / sessionSeconds, 2)
  await Promise.all(talkers.map((talker) => talker.close()))
  for (const problem of problems.slice(0, 3)) console.error(problem)
  return {
    what,
    sessions: count,
    turns: times.length,
    lost: problems.length,
    'p50 ms': p(times, 0.5),
    'p95 ms': p(times, 0.95),
    'longest event-loop pause ms': round(gapMs, 0),
    'CPU ms a session-second': spent('cpuMs'),
    'of it the serving thread': spent('servingMs'),
    'memory per session MB': round((after.rssMb - before.rssMb) / count, 2),
  }
}

type Memory = { readonly rssMb: number; readonly heapMb: number }

/** What the process holds, and what of it JavaScript does. */
async function memoryOf({ base, pid }: Place): Promise<Memory> {
  const [{ rssMb }, text] = await Promise.all([costOf(pid), fetch(`${base}/metrics`).then((answer) => answer.text())])
  const bytes = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
  return { rssMb, heapMb: (bytes('nodejs_heap_size_used_bytes') + bytes('nodejs_external_memory_bytes')) / 2 ** 20 }
}

/** Caches fill and code is compiled in the first minute; the minute behind it is held against the last. */
const MINUTE_S = 60

/** From a minute to another, both taken every second. Of the heap the least, which is what a collection left. */
function growth(memory: readonly Memory[]) {
  const minute = Math.min(MINUTE_S, Math.floor(memory.length / 4))
  const [early, late] = [memory.slice(minute, 2 * minute), memory.slice(-minute)]
  const rss = (part: readonly Memory[]) => part.reduce((sum, { rssMb }) => sum + rssMb, 0) / part.length
  const heap = (part: readonly Memory[]) => Math.min(...part.map(({ heapMb }) => heapMb))
  const minutes = Array.from({ length: Math.ceil(memory.length / minute) }, (_, at) =>
    round(heap(memory.slice(at * minute, (at + 1) * minute)), 0),
  )
  const percent = (of: typeof rss) => round((of(late) / of(early) - 1) * 100, 1)
  return {
    'RSS after the first minute MB': round(rss(early), 1),
    'in the last MB': round(rss(late), 1),
    'RSS growth %': percent(rss),
    'heap after the first minute MB': round(heap(early), 1),
    'heap in the last MB': round(heap(late), 1),
    'heap growth %': percent(heap),
    'heap by minutes MB': minutes.join(' '),
  }
}

/** Ten minutes of talk, unless told: what memory does. */
async function soak(place: Place, seconds: number, count: number) {
  const end = performance.now() + seconds * 1000
  const memory: Memory[] = []
  let [turns, lost] = [0, 0]
  const watch = setInterval(() => void memoryOf(place).then((now) => memory.push(now), console.error), 1000)
  const talk = async (who: number) => {
    while (performance.now() < end) {
      const talker = new Talker(place.base, { frameMs: 100 })
      await talker.opened
      talker.detect(MODES['server_vad, 200 ms'])
      for (let at = 0; at < 5 && performance.now() < end; at++, turns++)
        await held(talker, who + at).catch(() => lost++)
      await talker.close()
    }
  }
  await Promise.all(Array.from({ length: count }, (_, who) => talk(who)))
  clearInterval(watch)
  return { seconds, sessions: count, turns, lost, ...growth(memory) }
}

async function withStack(work: (place: Place) => Promise<void>): Promise<void> {
  const stack = await benchStack(undefined)
  try {
    const [pid = 0] = 'pids' in stack && typeof stack.pids === 'function' ? stack.pids('orchestrator') : []
    await work({ base: stack.url.orchestrator, pid })
  } finally {
    await stack.stop()
  }
}

async function withFakes(work: (place: Place) => Promise<void>): Promise<void> {
  const fakes = await startFakes(FAKE_TIMES)
  const orchestrator = await startOrchestrator({ ...envOf(fakes.url), REALTIME_MAX_SESSIONS: '1000' })
  try {
    await work(orchestrator)
  } finally {
    await orchestrator.stop()
    fakes.stop()
  }
}

const isAsked = (part: string) => values.part === undefined || values.part === part
const counts = (standard: readonly number[]) => values.sessions?.split(',').map(Number) ?? standard

if (isAsked('open') || isAsked('turn') || isAsked('crowd'))
  await withStack(async (place) => {
    const { base } = place
    const rows = []
    if (isAsked('open')) rows.push(await opening(base))
    if (isAsked('turn')) {
      for (const mode of Object.keys(MODES) as (keyof typeof MODES)[]) rows.push(await answering(base, mode))
      rows.push(await interrupting(base))
    }
    if (rows.length > 0) await show('realtime', rows)
    const crowds = []
    if (isAsked('crowd'))
      for (const count of counts([1, 4, 16]))
        crowds.push(await crowd(place, 'demo engines', count, Math.max(2, Math.ceil(TURNS / count))))
    if (crowds.length > 0) await show('realtime-crowd', crowds)
  })
if (isAsked('fakes'))
  await withFakes(async (place) => {
    const rows = []
    for (const count of counts([1, 200]))
      rows.push(await crowd(place, `fake stages, ${availableParallelism()} cores`, count, 3))
    await show('realtime-fakes', rows)
  })
if (isAsked('idle')) await withFakes(async (place) => show('realtime-idle', [await idling(place, 900)]))
if (isAsked('soak'))
  await withFakes(async (place) => show('realtime-soak', [await soak(place, Number(values.seconds), 8)]))
