/** Runs one bench by its name: `npm run bench -- wer`. */
import { readdirSync } from 'node:fs'

const NOT_BENCHES = new Set([
  'run.ts',
  'stack.ts',
  'figures.ts',
  'requests.ts',
  'realtime-client.ts',
  'slow-mind.ts',
  'fake-services.ts',
  'processes.ts',
  'stt-engines.ts',
  'stt-service.ts',
  'dialogues.ts',
  'minilm-shape.ts',
  'hearing-sounds.ts',
  'boot-models.ts',
  'boot-process.ts',
  'boot-asks.ts',
  'boot-memory.ts',
  'boot-requests.ts',
  'boot-serial.ts',
  'boot-starts.ts',
  'boot-steps.ts',
])
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !NOT_BENCHES.has(file))
  .map((file) => file.slice(0, -3))

const [name] = process.argv.splice(2, 1)
if (name === undefined || !names.includes(name)) {
  console.error(`expected one of: ${names.join(', ')}`)
  process.exitCode = 1
} else {
  await import(`./${name}.ts`)
}
