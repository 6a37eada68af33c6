/** Where a start's processor time goes, which other work disturbs less than the clock: by step, as the service's own log tells them, and by thread. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { ModelFolders } from './boot-models.ts'
import { launchTold, SERVICES } from './boot-process.ts'
import type { Service } from './boot-process.ts'
import { round, show } from './figures.ts'
import { costOf, threadTimes } from './processes.ts'

/** The step that ends with a line of the log: what it says, or the state that the service's own model enters. */
const ENDED: Readonly<Record<string, string>> = {
  starting: 'node and modules',
  listening: 'app, port',
  warming: 'load',
  ready: 'first inference',
  warm: 'the rest, after ready',
}
const MODELS: Readonly<Record<Service, RegExp>> = { stt: /whisper/i, tts: /kokoro/i, embeddings: /minilm/i }

export async function benchSteps(folders: ModelFolders): Promise<void> {
  // The first start fills the compile cache.
  for (const service of SERVICES) await stepsOf(service, folders[service])
  const rows = []
  for (const service of SERVICES) rows.push(...(await stepsOf(service, folders[service])))
  await show('boot-steps', rows)
}

async function stepsOf(service: Service, dir: string) {
  const child = await launchTold(service, dir)
  const { pid = 0, stdout } = child
  if (!stdout) throw new Error('expected the output of the service')
  const ended = once(child, 'exit')
  const begun = performance.now()
  const rows = []
  let [cpuBefore, threadsBefore]: [number, ReadonlyMap<string, number>] = [0, new Map()]
  for await (const line of createInterface({ input: stdout })) {
    const { msg, to, model = '' } = JSON.parse(line) as { msg?: string; to?: string; model?: string }
    const event = (MODELS[service].test(model) ? to : undefined) ?? msg ?? ''
    const step = ENDED[event]
    if (step === undefined) continue
    const [{ cpuMs }, threads] = await Promise.all([costOf(pid), threadTimes(pid)])
    const spent = (name: string) => round((threads.get(name) ?? 0) - (threadsBefore.get(name) ?? 0), 0)
    rows.push({
      service,
      step,
      'at ms': round(performance.now() - begun, 0),
      'processor ms': cpuMs - cpuBefore,
      'serving thread': spent('main'),
      'engine and its pool': spent(service),
      "V8's helpers": spent('V8Worker'),
    })
    ;[cpuBefore, threadsBefore] = [cpuMs, threads]
    if (event === 'warm') break
  }
  child.kill()
  await ended
  return rows
}
