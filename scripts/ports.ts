/** Where each part of the native stack listens: one number, `HEARTH_PORT`, moves all of them, so stacks run side by side. */
import { createServer } from 'node:net'

const DEFAULT_PORT = 8080
const OFFSETS = { orchestrator: 0, stt: 1, tts: 2, embeddings: 3, redis: 4 } as const
const HIGHEST_PORT = 65_535 - OFFSETS.redis

export type PartName = keyof typeof OFFSETS
export type StackPorts = Readonly<Record<PartName, number>>

/** The five ports that follow from the setting; throws an Error that names it when it is no usable port. */
export function stackPorts(setting: string | undefined): StackPorts {
  const first = setting === undefined || setting === '' ? DEFAULT_PORT : Number(setting)
  if (!Number.isInteger(first) || first < 1 || first > HIGHEST_PORT)
    throw new Error(`HEARTH_PORT: expected a whole number from 1 to ${HIGHEST_PORT}, got "${setting}"`)
  const at = (part: PartName) => first + OFFSETS[part]
  return {
    orchestrator: at('orchestrator'),
    stt: at('stt'),
    tts: at('tts'),
    embeddings: at('embeddings'),
    redis: at('redis'),
  }
}

export const PORT_REMEDY =
  'stop the program that has it (`ss -ltnp` or `lsof -i` names it), or move the stack with HEARTH_PORT=<first of five ports>'

/** One line for each port that can't be had: the port, what wanted it, why, and the setting that moves it. */
export async function portProblems(ports: StackPorts): Promise<string[]> {
  return (await heldPorts(ports)).map((problem) => `${problem}: ${PORT_REMEDY}.`)
}

/** The same without what to do. */
export async function heldPorts(ports: StackPorts): Promise<string[]> {
  const parts = Object.keys(OFFSETS) as PartName[]
  const problems = await Promise.all(
    parts.map(async (part) => describe(part, ports[part], await whyNotFree(ports[part]))),
  )
  return problems.filter((problem) => problem !== null)
}

function describe(part: PartName, port: number, reason: string | null): string | null {
  if (reason === null) return null
  const what = reason === 'EADDRINUSE' ? 'is in use' : `can't be opened (${reason})`
  return `Port ${port} ${what}, and ${part} needs it`
}

/**
 * Null when the port is free, else the system's error code. Both the wildcard and the loopback address are tried: on some
 * systems a program that holds only one of them doesn't stop a listener on the other, and then answers in its place.
 */
async function whyNotFree(port: number): Promise<string | null> {
  return (await whyNoListener(port)) ?? (await whyNoListener(port, '127.0.0.1'))
}

function whyNoListener(port: number, host?: string): Promise<string | null> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(null)))
  })
}
