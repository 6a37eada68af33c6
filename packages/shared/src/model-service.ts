/**
 * A model service from its parts. All three are alike: settings, the model with its engine thread, the HTTP app, a rehearsal, and an end in
 * order. What differs (which files, which engine, which routes) is given.
 */
import type { Hono } from 'hono'
import { BootHistory } from './boot-history.ts'
import { describeConfig } from './config.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'
import { leave } from './leave.ts'
import type { ModelAppOptions } from './model-app.ts'
import { stillWarming } from './model-status.ts'
import { rehearse, type SendRehearsal } from './rehearsal.ts'
import { serve, type ServeOptions } from './serve.ts'
import { createSlot, type ServiceModel, slotChecks } from './service-slot.ts'
import { createLogger, createMetrics } from './telemetry.ts'

export type ModelService<In, Out, Prepared> = ServiceModel<In, Prepared> & {
  createApp: (options: ModelAppOptions<In, Out, Prepared>) => Hono<AppEnv>
  /** Connections that ask for another protocol; `onDrain` tells them that the service goes. */
  upgrade?: ServeOptions['upgrade']
  onDrain?: () => void
  /** What to close after the model. */
  close?: readonly (() => Promise<void>)[]
  /** Sends one request of the usual kind to the service itself. */
  rehearse: SendRehearsal
}

/**
 * Starts the service. The port answers at once; with the policy `eager`, `/ready` says 200 once the model is warm and a quick one's service has answered a
 * few requests of its own, so that nobody's request is the first.
 */
export async function startModelService<In, Out, Prepared>(service: ModelService<In, Out, Prepared>): Promise<void> {
  const { name, config, settings } = service
  const log = createLogger({ service: name, level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics(name)
  const firstReady = Promise.withResolvers<void>()
  const slot = createSlot<In, Out, Prepared>(service, { log, metrics, onReady: firstReady.resolve })
  slot.preload()
  let isRehearsed = false
  const status = () => (isRehearsed ? slot.status : stillWarming(slot.status))
  const drain = new AbortController()
  const sources = new URL('.', service.engine)
  const history = new BootHistory({ home: config.hearth.home, service: name, sources, log })
  const app = service.createApp({
    slot,
    status,
    details: async () => ({ boots: [...(await history.last())] }),
    checks: () => slotChecks(service, slot, history, log),
    draining: drain.signal,
    apiKey: config.hearth.apiKey,
    allowedHosts: config.hearth.allowedHosts,
    log,
    metrics,
  })
  const { port, host: hostname } = settings
  const onDrain = () => {
    drain.abort()
    slot.drain()
    service.onDrain?.()
  }
  const close = [() => slot.close(), ...(service.close ?? [])]
  const { upgrade } = service
  const server = await serve({ app, port, hostname, log, onDrain, close, ...(upgrade && { upgrade }) })
  await firstReady.promise
  await rehearse({ send: service.rehearse, base: `http://127.0.0.1:${server.port}`, status: slot.status, log })
  isRehearsed = true
  // Of the model that sits there now: it need not be the one that was ready first.
  await history.record(slot.status)
}

/** Runs a service's `main`; a start that fails (bad settings, port in use) is told in plain words and ends the process. */
export function runService(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const told = error instanceof AppError ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${name}: ${told}\n`)
    leave(1)
  })
}
