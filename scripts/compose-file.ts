/** The compose files as data, for the tests that hold what they promise. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'

export const ROOT = resolve(import.meta.dirname, '..')
export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const Port = z.string()
const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

/** Strict, so that a key nobody thought of (`privileged`, `network_mode`, `devices`) fails to parse. */
const Service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), args: z.strictObject({ SERVICE: z.string() }) }).optional(),
  profiles: z.array(z.string()).optional(),
  user: z.string().optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), Scalar).default({}),
  env_file: z.array(z.strictObject({ path: z.string(), required: z.literal(false) })).optional(),
  depends_on: z.union([z.array(z.string()), z.record(z.string(), z.object({ condition: z.string() }))]).optional(),
  ports: z.array(Port).default([]),
  networks: z.array(z.string()).min(1),
  volumes: z.array(z.string()).default([]),
  init: z.literal(true),
  restart: z.string(),
  read_only: z.literal(true),
  tmpfs: z.tuple([z.literal('/tmp')]),
  cap_drop: z.tuple([z.literal('ALL')]),
  cap_add: z.array(z.string()).default([]),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]),
  pids_limit: z.number(),
  cpus: Scalar.optional(),
  cpu_shares: z.number().optional(),
  mem_limit: z.string(),
  stop_grace_period: z.string().optional(),
  logging: z.object({ options: z.object({ 'max-size': z.string(), 'max-file': z.string() }) }),
  healthcheck: z.union([
    z.strictObject({ disable: z.literal(true) }),
    z.strictObject({
      test: z.array(z.string()),
      interval: z.string(),
      timeout: z.string(),
      retries: z.number(),
      start_period: z.string(),
      start_interval: z.string(),
    }),
  ]),
})
export type ComposeService = z.infer<typeof Service>

const ComposeFile = z.object({
  services: z.record(z.string(), Service),
  networks: z.record(z.string(), z.object({ internal: z.boolean() }).nullable()),
  volumes: z.record(z.string(), z.null()),
})

/** Throws zod's error where a service lacks what all must have, or has what none may. */
export const readComposeFile = () => ComposeFile.parse(parse(read('docker-compose.yml'), { merge: true }))
