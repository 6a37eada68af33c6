/** A process that fetches one model: what two replicas on one volume are. Prints a line for each progress, then the result or the error. */
import * as z from 'zod'
import { pino } from 'pino'
import { toAppError } from '../errors.ts'
import { fetchModel } from '../model-store.ts'

const Arguments = z.object({
  spec: z.object({ id: z.string(), revision: z.string(), files: z.array(z.string()), demo: z.string() }),
  cacheDir: z.string(),
  endpoint: z.string(),
})

const { spec, cacheDir, endpoint } = Arguments.parse(JSON.parse(process.argv[2] ?? ''))
const options = { cacheDir, endpoint, offline: false, demoDir: '', log: pino({ level: 'silent' }) }
const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
try {
  print(await fetchModel(spec, options, print, new AbortController().signal))
} catch (error) {
  const { code, message } = toAppError(error)
  print({ code, message })
}
