/**
 * Speech: milliseconds to the first sound and real-time factor for texts of about 1, 5 and 20 s, beside kokoro-js when it is given, one after the
 * other in turns. Without `--model` it is the demo Kokoro, whose graph is a thousand times smaller than Kokoro-82M's: then the figures show what
 * the code around a model costs, not what a model does. `models/train/kokoro_shapes.py` makes a graph in the real one's shapes.
 *
 *   npm run bench -- tts [--model <folder>] [--peer <folder where `npm install kokoro-js` was done>] [--rounds 7]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { ROOT } from '../e2e/stack.ts'
import { createEngine } from '../services/tts/src/engine.ts'
import { fragmentsOf } from '../services/tts/src/fragments.ts'
import { speak, type Submit } from '../services/tts/src/speak.ts'
import { listVoices } from '../services/tts/src/voices.ts'
import { median, round, show } from './figures.ts'

const { values } = parseArgs({
  options: { model: { type: 'string' }, peer: { type: 'string' }, rounds: { type: 'string', default: '7' } },
})
const dir = values.model ?? join(ROOT, 'models/demo/kokoro')
const [voice = ''] = listVoices(dir)
const { signal } = new AbortController()

const FIRST_SENTENCE =
  'When the rain stops in the evening, we can walk along the river to the old bridge, look at the lights of the town, and come back before it is dark.'
const TEXTS = {
  '1 s': 'Good morning, Anna.',
  '5 s': 'The lights in the kitchen are off, and it will rain in London tomorrow, so take an umbrella.',
  '20 s': `${FIRST_SENTENCE} There is a small shop at the corner that sells bread and milk until nine. If you like, ask there for the key of the garden, and bring it with you when you come.`,
}

/** `cpuMs` is the processor time that it took, which others on the machine disturb less. */
type Said = { readonly firstMs: number; readonly totalMs: number; readonly cpuMs: number; readonly seconds: number }
type Speaker = { speak(text: string): Promise<Said>; close(): Promise<unknown> }

/** Hearth's own path from a text to PCM, without HTTP. */
async function hearth(threads: number): Promise<Speaker & { whole(text: string): Promise<number> }> {
  const engine = createEngine({ dir, threads })
  await engine.load()
  const how = { voice: [{ voice, share: 1 }], speed: 1 }
  const submit: Submit = async (input) => {
    const [output] = await engine.run([input], { signal, emit: () => {} })
    if (output === undefined) throw new Error('expected one output')
    return { output, queueMs: 0, inferenceMs: 0, batchSize: 1, model: 'kokoro' }
  }
  return {
    async speak(text) {
      const start = performance.now()
      const cpu = process.cpuUsage()
      const said = { firstMs: 0, seconds: 0 }
      for await (const { bytes, sampleRateHz } of speak(fragmentsOf(text, 'en-us'), how, submit, signal)) {
        said.firstMs ||= performance.now() - start
        said.seconds += bytes.length / 2 / sampleRateHz
      }
      const { user, system } = process.cpuUsage(cpu)
      return { ...said, totalMs: performance.now() - start, cpuMs: (user + system) / 1000 }
    },
    /** Milliseconds for a text in one piece. */
    async whole(text) {
      const start = performance.now()
      await submit({ text, ...how }, signal)
      return performance.now() - start
    },
    close: () => engine.close(),
  }
}

const SaidByPeer = z.object({ firstMs: z.number(), totalMs: z.number(), cpuMs: z.number(), seconds: z.number() })

/** kokoro-js, pinned to as many processors as Hearth has threads: it has no setting for them. */
function kokoroJs(folder: string, threads: number): Speaker {
  const program = [join(import.meta.dirname, 'peers/kokoro-js.mjs'), folder, dir, join(dir, 'voices', `${voice}.bin`)]
  const cores = Array.from({ length: threads }, (_, core) => core).join(',')
  const child = spawn('taskset', ['-c', cores, process.execPath, ...program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async speak(text) {
      child.stdin.write(`${JSON.stringify({ text })}\n`)
      const { done, value } = await lines.next()
      if (done === true) throw new Error('kokoro-js ended')
      return SaidByPeer.parse(JSON.parse(value))
    },
    async close() {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'close')
    },
  }
}

/** Bytes that JavaScript allocates for a second of sound, sampled by V8; typed arrays' memory is not among them. */
async function allocated(speaker: Speaker): Promise<number> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  const { seconds } = await speaker.speak(TEXTS['20 s'])
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  return sizeOf(profile.head) / seconds
}

type ProfileNode = { readonly selfSize: number; readonly children: readonly ProfileNode[] }
const sizeOf = ({ selfSize, children }: ProfileNode): number =>
  children.reduce((sum, child) => sum + sizeOf(child), selfSize)

async function measure(threads: number): Promise<Record<string, string | number>[]> {
  const ours = await hearth(threads)
  const peer = values.peer === undefined ? null : kokoroJs(values.peer, threads)
  const speakers = [{ name: 'Hearth', speaker: ours }, ...(peer ? [{ name: 'kokoro-js', speaker: peer }] : [])]
  const rows = []
  const whole: number[] = []
  for (const [length, text] of Object.entries(TEXTS)) {
    const said = new Map<string, Said[]>(speakers.map(({ name }) => [name, []]))
    for (let count = 0; count <= Number(values.rounds); count++) {
      for (const { name, speaker } of speakers) {
        const one = await speaker.speak(text)
        if (count > 0) said.get(name)?.push(one) // the first round warms
      }
      if (length === '20 s' && count > 0) whole.push(await ours.whole(FIRST_SENTENCE))
    }
    for (const [who, all] of said) rows.push({ threads, text: length, who, ...figures(all) })
  }
  const first = rows.find((row) => row.text === '20 s' && row.who === 'Hearth')
  const ratio = Number(first?.['first sound ms']) / median(whole)
  const kilobytes = (await allocated(ours)) / 1000
  await Promise.all(speakers.map(({ speaker }) => speaker.close()))
  process.stdout.write(
    `${threads} thread(s): first sound of the 20 s text takes ${round(ratio, 2)} of its first sentence whole (${round(median(whole))} ms); ` +
      `${round(kilobytes)} kB of JavaScript allocated per second of sound\n`,
  )
  return rows
}

const figures = (all: readonly Said[]) => ({
  'first sound ms': round(median(all.map(({ firstMs }) => firstMs))),
  'real-time factor': round(median(all.map(({ totalMs, seconds }) => totalMs / 1000 / seconds)), 4),
  'processor s per s': round(median(all.map(({ cpuMs, seconds }) => cpuMs / 1000 / seconds)), 4),
  'sound s': round(median(all.map(({ seconds }) => seconds)), 2),
})

const rows = []
for (const threads of [1, 2]) rows.push(...(await measure(threads)))
await show('tts', rows)
