/**
 * What recordings cost the speech service in memory: its resident megabytes before each, and the most while one of so many minutes is heard,
 * in each container; and of files that unfold into hours without saying so, until they are refused. Each has a process of its own.
 *
 *   npm run bench -- stt-memory [--minutes 1,10,60] [--only mp3,bombs] [--plain]
 *
 * Needs ffmpeg. The demo model, or what `STT_MODEL_DIR` names; `--plain` leaves the allocator as the system has it, which keeps more.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { ROOT } from '../e2e/stack.ts'
import { ALLOCATOR } from '../scripts/stack.ts'
import { startService } from './boot-process.ts'
import { round, show } from './figures.ts'
import { SPEECH } from './requests.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1,10,60' },
    only: { type: 'string' },
    plain: { type: 'boolean' },
  },
})
const FOLDER = join(import.meta.dirname, 'results/recordings')
const POLL_MS = 20
/** Memory that is given back goes in the background. */
const SETTLE_MS = 2000

/** How ffmpeg is to write each; all of an hour fit into an upload. */
const CONTAINERS: Readonly<Record<string, readonly string[]>> = {
  mp3: ['-ar', '44100', '-ac', '2', '-b:a', '128k', '-f', 'mp3'],
  wav: ['-ar', '8000', '-c:a', 'pcm_u8', '-f', 'wav'],
  flac: ['-ar', '8000', '-f', 'flac'],
  'opus.ogg': ['-ar', '48000', '-c:a', 'libopus', '-b:a', '24k', '-f', 'ogg'],
  'vorbis.ogg': ['-ar', '44100', '-ac', '2', '-c:a', 'libvorbis', '-f', 'ogg'],
  webm: ['-ar', '48000', '-c:a', 'libopus', '-b:a', '24k', '-f', 'webm'],
  m4a: ['-ar', '44100', '-c:a', 'aac', '-b:a', '64k', '-f', 'mp4'],
  aac: ['-ar', '44100', '-c:a', 'aac', '-b:a', '64k', '-f', 'adts'],
}
const SILENCE = ['-f', 'lavfi', '-i', 'anullsrc=r=16000:cl=mono', '-t', '10800']
/** Three hours each, an hour more than is taken, and what makes them lie. */
const BOMBS: Readonly<Record<string, { from: readonly string[]; as: readonly string[]; lie: (file: Buffer) => void }>> =
  {
    flac: { from: SILENCE, as: ['-f', 'flac'], lie: (file) => file.writeUInt32BE(2400, 22) },
    'opus.ogg': {
      from: SILENCE,
      as: ['-c:a', 'libopus', '-b:a', '6k', '-compression_level', '0', '-f', 'ogg'],
      lie: forgetTimes,
    },
    'vorbis.ogg': { from: SILENCE, as: ['-c:a', 'libvorbis', '-f', 'ogg'], lie: forgetTimes },
    mp3: { from: SILENCE, as: ['-b:a', '8k', '-write_xing', '0', '-f', 'mp3'], lie: () => undefined },
    aac: { from: SILENCE, as: ['-c:a', 'aac', '-aac_coder', 'fast', '-b:a', '8k', '-f', 'adts'], lie: () => undefined },
    'live.webm': {
      from: SILENCE,
      as: ['-c:a', 'libopus', '-b:a', '6k', '-compression_level', '0', '-live', '1', '-f', 'webm'],
      lie: () => undefined,
    },
  }

/** Each page says that it ends at 20 ms. */
function forgetTimes(file: Buffer): void {
  for (let at = file.indexOf('OggS'); at !== -1 && at + 14 <= file.length; at = file.indexOf('OggS', at + 14))
    file.writeBigInt64LE(960n, at + 6)
}

const ffmpeg = (args: readonly string[]) => promisify(execFile)('ffmpeg', ['-loglevel', 'error', '-y', ...args])
const isThere = (path: string) => stat(path).then(Boolean, () => false)

/** The sentences of models/speech over and over. */
async function recording(container: string, minutes: number): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(FOLDER, `${minutes}.${container}`)
  if (!(await isThere(path))) {
    const list = join(FOLDER, 'sentences.txt')
    const files = Array.from({ length: 26 }, (_, at) => join(SPEECH, `${String(at + 1).padStart(3, '0')}.wav`))
    await writeFile(list, files.map((file) => `file '${file}'\n`).join(''))
    const input = ['-stream_loop', '-1', '-f', 'concat', '-safe', '0', '-i', list, '-t', `${minutes * 60}`]
    await ffmpeg([...input, ...(CONTAINERS[container] ?? []), path])
  }
  return Uint8Array.from(await readFile(path))
}

async function bomb(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { from, as, lie } = BOMBS[name] ?? { from: [], as: [], lie: () => undefined }
  const path = join(FOLDER, `bomb.${name}`)
  if (!(await isThere(path))) await ffmpeg([...from, ...as, path])
  const file = await readFile(path)
  lie(file)
  return Uint8Array.from(file)
}

/** Hears one file in a service of its own. */
async function measure(name: string, file: Uint8Array<ArrayBuffer>) {
  const stt = process.env['STT_MODEL_DIR'] ?? join(ROOT, 'models/demo/whisper')
  const service = await startService('stt', stt, 'eager')
  try {
    // Everything that a first file needs is there.
    await post(service.url, Uint8Array.from(await readFile(join(SPEECH, '012.wav'))))
    await pause()
    const before = await service.cost()
    let peakMb = 0
    const watch = setInterval(
      () => void service.cost().then(({ rssMb }) => (peakMb = Math.max(peakMb, rssMb))),
      POLL_MS,
    )
    const { status, text } = await post(service.url, file)
    clearInterval(watch)
    const after = await service.cost()
    await pause()
    return {
      file: name,
      'file MB': round(file.length / 1e6),
      answer: status === 200 ? `${text.length} characters` : String(JSON.parse(text).error?.code ?? status),
      'before MB': round(before.rssMb, 0),
      'most MB': round(peakMb, 0),
      'more MB': round(peakMb - before.rssMb, 0),
      'after MB': round((await service.cost()).rssMb, 0),
      'processor s': round((after.cpuMs - before.cpuMs) / 1000),
    }
  } finally {
    await service.stop()
  }
}

const pause = () => new Promise((done) => setTimeout(done, SETTLE_MS))

async function post(base: string, file: Uint8Array<ArrayBuffer>): Promise<{ status: number; text: string }> {
  const form = new FormData()
  form.set('file', new Blob([file]))
  form.set('language', 'en')
  form.set('response_format', 'text')
  const answer = await fetch(`${base}/v1/audio/transcriptions`, { method: 'POST', body: form })
  return { status: answer.status, text: await answer.text() }
}

if (!values.plain) Object.assign(process.env, ALLOCATOR)
await mkdir(FOLDER, { recursive: true })
const only = values.only?.split(',')
const isAsked = (name: string) => only === undefined || only.includes(name)
const rows = []
for (const container of Object.keys(CONTAINERS).filter(isAsked))
  for (const minutes of values.minutes.split(',').map(Number)) {
    rows.push(await measure(`${minutes} min ${container}`, await recording(container, minutes)))
    await show('stt-memory', rows)
  }
for (const name of Object.keys(BOMBS).filter((each) => isAsked('bombs') || isAsked(`bomb ${each}`))) {
  rows.push(await measure(`bomb ${name}`, await bomb(name)))
  await show('stt-memory', rows)
}
