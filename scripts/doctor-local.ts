/** The examination of a stack that does not run: the same checks as the services make, on what lies on the disk. */
import type { Finding, ModelStatus } from '@hearth/shared/api'
import { bootsPath, readBoots } from '@hearth/shared/boot-history'
import { type Check, diagnose, failed, ok, type Verdict, warning } from '@hearth/shared/doctor'
import { modelChecks } from '@hearth/shared/doctor-model'
import type { Log } from '@hearth/shared/telemetry'
import { readOrchestratorConfig } from '../services/orchestrator/src/config.ts'
import { chatChecks, orchestratorChecks, turnChecks } from '../services/orchestrator/src/doctor/stack-doctor.ts'
import { chosenModels } from './chosen-models.ts'
import { heldPorts, PORT_REMEDY } from './ports.ts'
import type { StackPorts } from './ports.ts'
import { thisMachine } from './machine.ts'
import { readReport } from './readiness.ts'
import { SERVICES, urlOf } from './stack.ts'
import { findServer, HOW_TO_GET_REDIS, WITHOUT_REDIS } from './redis.ts'

/** Throws `invalid_config` that names every variable at fault. */
export async function examineHere(
  { home, ports }: { home: string; ports: StackPorts },
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<Finding[]> {
  const config = readOrchestratorConfig(env)
  const notRunning = (): ModelStatus | null => null
  const boots = (service: string) => async () => readBoots(bootsPath(home, service))
  const chat = chatChecks(config, { boots: boots('orchestrator'), status: notRunning, log })
  const turn = turnChecks(config, { status: notRunning, log })
  const stackChecks: readonly Check[] = [
    { name: 'ports', run: (signal) => checkPorts(ports, signal) },
    { name: 'redis', run: () => judgeRedis(findServer(thisMachine)) },
  ]
  const services = chosenModels(env, log)
    .filter(({ name }) => name !== 'chat' && name !== 'turn')
    .map(({ name, ...model }) =>
      diagnose(name, modelChecks({ service: name, ...model, boots: boots(name), status: notRunning })),
    )
  const found = await Promise.all([
    diagnose('stack', stackChecks),
    diagnose('orchestrator', [...orchestratorChecks(config), ...chat, ...turn]),
    ...services,
  ])
  return found.flat()
}

/** The orchestrator does not answer, or it would have been asked instead; the others may be there all the same. */
async function checkPorts(ports: StackPorts, signal: AbortSignal): Promise<Verdict> {
  const held = await heldPorts(ports)
  const reports = await Promise.all(SERVICES.map((name) => readReport(urlOf(ports, name), signal)))
  const ours = SERVICES.filter((name, at) => reports[at]?.service === name)
  if (ours.length > 0)
    return failed(`${ours.join(', ')} of a stack run, without its orchestrator`, 'stop that stack, and start it again')
  if (held.length > 0) return failed(held.join('; '), PORT_REMEDY)
  return ok(`${Object.values(ports).join(', ')} are free`)
}

const judgeRedis = (server: string | null) =>
  server === null
    ? warning(WITHOUT_REDIS, HOW_TO_GET_REDIS)
    : ok(`${server}: \`npm start\` starts it, with an append-only file and noeviction`)
