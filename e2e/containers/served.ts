/** Who did the work, as the replicas' own logs tell. */
import * as z from 'zod'
import { docker } from '../compose.ts'
import type { Compose } from '../compose.ts'

const LogLine = z.object({ route: z.string(), status: z.number(), time: z.string() })

/** How many requests of a route each replica of a service answered well since then (ISO 8601). */
export async function served(stack: Compose, service: string, route: string, since: string): Promise<number[]> {
  const containers = await stack.containers(service)
  return Promise.all(
    containers.map(async ({ ID }) => {
      const lines = (await docker(['logs', ID])).split('\n').filter((line) => line.startsWith('{'))
      const requests = lines.map((line) => LogLine.safeParse(JSON.parse(line)).data)
      return requests.filter((line) => line?.route === route && line.status === 200 && line.time > since).length
    }),
  )
}
