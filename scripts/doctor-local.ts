/** The examination of a stack that does not run: the same checks as the services make, on what lies on the disk. */
import type { Finding, ModelStatus } from '@hearth/shared/api'
import { bootsPath, readBoots } from '@hearth/shared/boot-history'
import { type Check, diagnose, failed, ok, warning } from '@hearth/shared/doctor'
import { modelChecks } from '@hearth/shared/doctor-model'
import type { Log } from '@hearth/shared/telemetry'
import { readOrchestratorConfig } from '../services/orchestrator/src/config.ts'
import { chatChecks, orchestratorChecks } from '../services/orchestrator/src/doctor/stack-doctor.ts'
import { chosenModels } from './chosen-models.ts'
import { heldPorts, PORT_REMEDY } from './ports.ts'
import type { StackPorts } from './ports.ts'
import { thisMachine } from './machine.ts'
import { findServer, HOW_TO_GET_REDIS } from './redis.ts'

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
  const stackChecks: readonly Check[] = [
    { name: 'ports', run: () => checkPorts(ports) },
    { name: 'redis', run: () => judgeRedis(findServer(thisMachine)) },
  ]
  const services = chosenModels(env, log)
    .filter(({ name }) => name !== 'chat')
    .map(({ name, ...model }) =>
      diagnose(name, modelChecks({ service: name, ...model, boots: boots(name), status: notRunning })),
    )
  const found = await Promise.all([
    diagnose('stack', stackChecks),
    diagnose('orchestrator', [...orchestratorChecks(config), ...chat]),
    ...services,
  ])
  return found.flat()
}

async function checkPorts(ports: StackPorts) {
  const held = await heldPorts(ports)
  if (held.length > 0) return failed(held.join('; '), PORT_REMEDY)
  return ok(`${Object.values(ports).join(', ')} are free`)
}

const judgeRedis = (server: string | null) =>
  server === null
    ? warning('none is installed', HOW_TO_GET_REDIS)
    : ok(`${server}: \`npm start\` starts it, with an append-only file and noeviction`)
