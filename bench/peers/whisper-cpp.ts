/** whisper.cpp as a peer: its own program on the same shapes and the same sound, by the times that it prints of itself. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { encodeWav } from '@hearth/shared/wav'
import type { Peer } from './peer.ts'

const execute = promisify(execFile)
const LIMIT_MS = 300_000
/** Start, language, task, "no timestamps": counted one by one. */
const PROMPT = 4

/** One greedy pass over a window of 30 s, without fallbacks. Loading the model is left out, and so are tokens beyond the clip's: random words don't end. */
export function whisperCpp({ program, model, threads }: { program: string; model: string; threads: number }): Peer {
  const options = ['-m', model, '-t', String(threads), '-l', 'en', '-nt', '-nf', '-bs', '1', '-bo', '1']
  return {
    run: async ({ tokens }, samples) => {
      const folder = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
      try {
        const file = join(folder, 'clip.wav')
        await writeFile(file, encodeWav({ samples, sampleRateHz: 16_000 }))
        const before = await childrenMs()
        const { stderr } = await execute(program, [...options, '-f', file], { timeout: LIMIT_MS })
        const ms = times(stderr)
        const clip = ms('mel') + ms('encode') + PROMPT * ms('batchd') + (tokens - 1) * ms('decode')
        return (clip * ((await childrenMs()) - before)) / ms('total')
      } finally {
        await rm(folder, { recursive: true })
      }
    },
    close: async () => {},
  }
}

const TICK_MS = 10

/** Processor time of the children that ended: `cutime` and `cstime` of Linux. The program tells its parts by the clock alone. */
async function childrenMs(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return TICK_MS * (Number(fields[13]) + Number(fields[14]))
}

/** `encode time = 812.34 ms / 1 runs`: of one run, as `mel time = 5.1 ms`. */
function times(text: string): (name: string) => number {
  return (name) => {
    const [, ms, runs = '1'] = new RegExp(`${name} time = +([\\d.]+) ms(?: / +(\\d+) runs)?`).exec(text) ?? []
    if (ms === undefined) throw new Error(`expected whisper.cpp to print its ${name} time`)
    return Number(ms) / Math.max(1, Number(runs))
  }
}
