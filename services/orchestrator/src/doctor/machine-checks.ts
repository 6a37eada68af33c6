/** What the machine has: the Node that runs, and a GPU, which only Ollama would use. */
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type Check, failed, ok, skipped, type Verdict } from '@hearth/shared/doctor'

/** The first that runs TypeScript as it is. */
const OLDEST_NODE = [22, 18] as const
/** What drivers put into /dev: NVIDIA, AMD, and any card that draws. */
const DEVICES = /^(?:nvidia\d+|kfd|dri)$/

export const machineChecks: readonly Check[] = [
  { name: 'node', run: () => judgeNode(process.versions.node) },
  { name: 'gpu', run: checkGpu },
]

export function judgeNode(version: string): Verdict {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNew = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  if (isNew) return ok(`Node ${version}`)
  return failed(`Node ${version} is too old`, `start with \`npm start\`, which brings its own, or install Node 24`)
}

async function checkGpu(signal: AbortSignal): Promise<Verdict> {
  const names = await promisify(execFile)('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader'], {
    signal,
  }).then(
    ({ stdout }) => stdout.trim().split('\n').filter(Boolean),
    () => [],
  )
  if (names.length > 0) return ok(`${names.join('; ')}: Ollama uses it; speech and embeddings stay on the CPU`)
  const devices = (await readdir('/dev').catch(() => [])).filter((name) => DEVICES.test(name))
  if (devices.length > 0)
    return ok(`/dev/${devices.join(', /dev/')}: Ollama may use it; speech and embeddings stay on the CPU`)
  return skipped('none is seen from here; nothing but Ollama would use one')
}
