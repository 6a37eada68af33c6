/** A model service as a process of its own, whose log and HTTP a test reads. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import * as z from 'zod'

const Line = z.looseObject({ msg: z.string().optional(), port: z.number().optional() })
export type Line = z.infer<typeof Line>

export type ServiceProcess = Awaited<ReturnType<typeof startProcess>>

/** Starts `program` with nothing in its environment but `env`, and waits until it listens. It ends with the test. */
export async function startProcess(program: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [program], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close')
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(Line.parse(JSON.parse(line)))
    for (const look of waiting) look()
  })
  /** Waits for a line that is on its way; the test's own limit ends it. */
  const logged = (isIt: (line: Line) => boolean): Promise<Line> =>
    new Promise((resolve) => {
      const look = () => {
        const found = lines.find(isIt)
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  const { port = 0 } = await logged(({ msg }) => msg === 'listening')
  const base = `http://127.0.0.1:${port}`
  return {
    child,
    base,
    lines,
    logged,
    call: async (path: string, init: RequestInit = {}) => {
      const reply = await fetch(`${base}${path}`, init)
      return { status: reply.status, headers: reply.headers, body: z.any().parse(await reply.json()) }
    },
    inState: (state: string) => logged((line) => line.msg === 'model state' && line['to'] === state),
    /** How many times a model was in a state. */
    times: (state: string) => lines.filter((line) => line['to'] === state).length,
    /** Its exit code, once it has ended and all it said is read. */
    end: async (): Promise<unknown> => (await closed)[0],
  }
}

export const postJson = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
