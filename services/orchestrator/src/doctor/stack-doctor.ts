/** The examination of the whole stack: this service's own checks, and what the other services find about themselves. */
import { turnEndSpec } from '@hearth/hearing/turn-end-model'
import { DoctorReport, type BootEntry, type Finding, type ModelStatus } from '@hearth/shared/api'
import { diagnose, placeOf, type Check } from '@hearth/shared/doctor'
import { modelChecks, optionalModelChecks } from '@hearth/shared/doctor-model'
import { chooseSpec, storeOptions } from '@hearth/shared/service-settings'
import type { Log } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from '../config.ts'
import spec from '../model.json' with { type: 'json' }
import { hasOllama, languageModelChecks } from './language-model-checks.ts'
import { machineChecks } from './machine-checks.ts'
import { checkRedis } from './redis-check.ts'
import { storeChecks } from './store-checks.ts'

/** Longer than a service takes for its own checks. */
const SERVICE_MS = 5500
const LOOK_MS = 2000

/** What does not depend on whether the stack runs. */
export const orchestratorChecks = (config: OrchestratorConfig): readonly Check[] => [
  ...machineChecks,
  ...storeChecks(config),
  ...languageModelChecks(config),
]

export const redisCheck = ({ redis }: Pick<OrchestratorConfig, 'redis'>): Check => ({
  name: 'redis',
  run: (signal) => checkRedis(redis.url, signal),
})

/** Of the small language model in this process, which is loaded only while no server answers. */
export function chatChecks(
  config: OrchestratorConfig,
  found: { boots: () => Promise<readonly BootEntry[]>; status: () => ModelStatus | null; log: Log },
): readonly Check[] {
  const { chain } = config.llm
  const isNeeded = async () => {
    const state = found.status()?.state
    if (state !== undefined) return state !== 'idle'
    return chain.includes('embedded') && !(await hasOllama(config, AbortSignal.timeout(LOOK_MS)).catch(() => false))
  }
  const { boots, status, log } = found
  const store = storeOptions(config, config.chat, log)
  return modelChecks({ service: 'chat', spec: chooseSpec(spec, config.chat), store, boots, status, isNeeded })
}

/** Of the model that hears when a turn is over: without it silence alone does. */
export const turnChecks = (
  config: Pick<OrchestratorConfig, 'hf' | 'turn'>,
  { status, log }: { status: () => ModelStatus | null; log: Log },
): readonly Check[] =>
  optionalModelChecks({
    service: 'turn',
    spec: turnEndSpec(config.turn),
    store: storeOptions(config, config.turn, log),
    status,
  })

/** Never rejects. */
export async function examineStack(
  checks: readonly Check[],
  services: Readonly<Record<string, string>>,
): Promise<Finding[]> {
  const others = Object.entries(services).map(([name, url]) => askService(name, url))
  return (await Promise.all([diagnose('orchestrator', checks), ...others])).flat()
}

async function askService(service: string, url: string): Promise<Finding[]> {
  try {
    const answer = await fetch(`${url}/doctor`, { redirect: 'error', signal: AbortSignal.timeout(SERVICE_MS) })
    return DoctorReport.parse(await answer.json()).findings
  } catch {
    const detail = `the ${service} service does not answer at ${placeOf(url)}`
    const remedy = `start it (npm start; docker compose up -d ${service}) and look into its log, or correct ${service.toUpperCase()}_URL`
    return [{ service, check: 'service', status: 'failed', detail, remedy }]
  }
}
