/**
 * What the orchestrator itself costs, with everything behind it faked in another process: its CPU for one streamed turn, and what becomes of
 * 200 turns at the same time: how long they take, how much memory they need, and whether each one is whole.
 *
 *   npm run bench -- orchestrator [--turns 400] [--part cpu|crowd]
 */
import { parseArgs } from 'node:util'
import { wavSaying } from '../services/orchestrator/src/testing/job-setup.ts'
import { startRedis } from '../services/orchestrator/src/testing/redis-server.ts'
import { quantile, round, show } from './figures.ts'
import { costOf, envOf, startFakes, startOrchestrator } from './processes.ts'
import { REPLY } from './slow-mind.ts'

const { values } = parseArgs({ options: { turns: { type: 'string', default: '400' }, part: { type: 'string' } } })
const CPU = { warmUp: 100, atOnce: 4, times: { earMs: 5, firstTokenMs: 5, tokenMs: 2 } }
const CROWD = { turns: 200, rounds: 3, times: { earMs: 100, firstTokenMs: 200, tokenMs: 1000 / 30 } }
const TURN_MS = 120_000
const SOUND_BYTES = 48_000

type Turn = { readonly firstAudioMs: number; readonly totalMs: number }

/** One streamed turn; throws unless it heard its own words, said the whole reply, and sent a sound for each of its sentences. */
async function turn(base: string, name: string): Promise<Turn> {
  const body = new FormData()
  body.set('file', new Blob([wavSaying(name)]), 'speech.wav')
  body.set('remember', 'false')
  const start = performance.now()
  const init = { method: 'POST', headers: { accept: 'text/event-stream' }, body, signal: AbortSignal.timeout(TURN_MS) }
  const answer = await fetch(`${base}/generate`, init)
  if (!answer.ok || !answer.body) throw new Error(`expected a stream, got ${answer.status}: ${await answer.text()}`)
  let firstAudioMs = Number.NaN
  const pieces: string[] = []
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    if (Number.isNaN(firstAudioMs) && text.includes('event: audio')) firstAudioMs = performance.now() - start
    pieces.push(text)
  }
  const totalMs = performance.now() - start
  requireWhole(pieces.join(''), name)
  return { firstAudioMs, totalMs }
}

function requireWhole(stream: string, name: string): void {
  const sounds = [...stream.matchAll(/"base64":"([^"]*)"/g)].map(([, sound = '']) => sound.length)
  const isWhole =
    stream.includes(`"text":${JSON.stringify(name)}`) &&
    stream.includes(`"reply":${JSON.stringify(REPLY)}`) &&
    stream.includes('event: done') &&
    sounds.length > 1 &&
    sounds.every((length) => length === SOUND_BYTES * (4 / 3))
  if (!isWhole) throw new Error(`a turn is not whole: ${stream.replaceAll(/"base64":"[^"]*"/g, '').slice(0, 2000)}`)
}

/** CPU of all threads of the process, from Linux's own count. */
async function cpu(what: string, redisUrl?: string) {
  const fakes = await startFakes(CPU.times)
  const orchestrator = await startOrchestrator(envOf(fakes.url, redisUrl))
  const hold = async (count: number) => {
    let left = count
    const talk = async () => {
      while (left-- > 0) await turn(orchestrator.base, `turn ${left}`)
    }
    await Promise.all(Array.from({ length: CPU.atOnce }, talk))
  }
  try {
    await hold(CPU.warmUp)
    const before = await costOf(orchestrator.pid)
    await hold(Number(values.turns))
    const after = await costOf(orchestrator.pid)
    const cpuMs = (after.cpuMs - before.cpuMs) / Number(values.turns)
    return { what, turns: Number(values.turns), 'CPU ms a turn': round(cpuMs, 2), 'memory MB': round(after.rssMb, 0) }
  } finally {
    await orchestrator.stop()
    fakes.stop()
  }
}

/** All turns begin together, three times over. */
async function crowd() {
  const fakes = await startFakes(CROWD.times)
  const orchestrator = await startOrchestrator(envOf(fakes.url))
  try {
    await turn(orchestrator.base, 'warm up')
    const alone = await turn(orchestrator.base, 'alone')
    const before = await costOf(orchestrator.pid)
    const turns: Turn[] = []
    const problems: unknown[] = []
    for (let count = 0; count < CROWD.rounds; count++) {
      const names = Array.from({ length: CROWD.turns }, (_, index) => `turn ${count} of ${index}`)
      const held = await Promise.allSettled(names.map((name) => turn(orchestrator.base, name)))
      for (const each of held) {
        if (each.status === 'fulfilled') turns.push(each.value)
        else problems.push(each.reason)
      }
    }
    for (const problem of problems.slice(0, 3)) console.error(problem)
    const after = await costOf(orchestrator.pid)
    const at = (key: keyof Turn, q: number) =>
      round(
        quantile(
          turns.map((each) => each[key]),
          q,
        ),
        0,
      )
    return {
      'at once': CROWD.turns,
      turns: turns.length,
      lost: problems.length,
      'one alone ms': round(alone.totalMs, 0),
      'first sound p50 ms': at('firstAudioMs', 0.5),
      'first sound p99 ms': at('firstAudioMs', 0.99),
      'whole turn p50 ms': at('totalMs', 0.5),
      'whole turn p99 ms': at('totalMs', 0.99),
      'CPU ms a turn': round((after.cpuMs - before.cpuMs) / turns.length, 2),
      'memory before MB': round(before.rssMb, 0),
      'peak MB': round(after.peakMb, 0),
    }
  } finally {
    await orchestrator.stop()
    fakes.stop()
  }
}

if (values.part !== 'crowd') {
  const redis = await startRedis()
  const rows = [await cpu('stt asked directly'), await cpu('through the job queue', redis.url)]
  await redis.stop()
  await show('orchestrator-cpu', rows)
}
if (values.part !== 'cpu') await show('orchestrator-crowd', [await crowd()])
