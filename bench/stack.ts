/** The stack that a bench measures: the one that runs at `--port`, or a fresh one of the real command. */
import { ReadyReport } from '@hearth/shared/api'
import { type Stack, startStack } from '../e2e/stack.ts'
import { stackPorts } from '../scripts/ports.ts'
import { SERVICES, type ServiceName, urlOf } from '../scripts/stack.ts'

export type Addresses = Stack['url']
export type BenchStack = { readonly url: Addresses; stop(): Promise<unknown> }

export async function benchStack(port: string | undefined): Promise<BenchStack> {
  // What is measured is what a model does, not what a cache remembers.
  if (port === undefined) return startStack({ env: { STT_CACHE_SECONDS: '0', TTS_PHRASE_CACHE_BYTES: '0' } })
  const ports = stackPorts(port)
  const entries = SERVICES.map((name) => [name, urlOf(ports, name)])
  return { url: Object.fromEntries(entries) as Record<ServiceName, string>, stop: async () => null }
}

/** What `/ready` of a service says. */
export async function readReport(base: string): Promise<ReadyReport> {
  return ReadyReport.parse(await (await fetch(`${base}/ready`)).json())
}
