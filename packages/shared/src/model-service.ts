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
import type { ModelSlot } from './model-slot.ts'
import { readyButWarming } from './model-status.ts'
import { rehearse, type SendRehearsal } from './rehearsal.ts'
import { serve, type ServeOptions } from './serve.ts'
import { createSlot, isInUse, type ServiceModel, slotChecks } from './service-slot.ts'
import { createLogger, createMetrics } from './telemetry.ts'

export type ModelService<In, Out, Prepared> = ServiceModel<In, Prepared> & {
  createApp: (options: ModelAppOptions<In, Out, Prepared>) => Hono<AppEnv>
  /** Connections that ask for another protocol; `onDrain` tells them that the service goes. */
  upgrade?: ServeOptions['upgrade']
  onDrain?: () => void
  /** What to close after the model. */
  close?: readonly (() => Promise<void>)[]
  /** Begins what is to be there for the first request and would only hold up the model. Called once it is ready. */
  onReady?: () => void
  /** Sends one request of the usual kind to the service itself. */
  rehearse: SendRehearsal
}

/**
 * Starts the service. The port answers at once; with the policy `eager`, `/ready` says 200 once the model has run. What else is cold is warmed
 * behind that, between requests: the model's other shapes, and the way to it by a few requests of the service's own.
 */
export async function startModelService<In, Out, Prepared>(service: ModelService<In, Out, Prepared>): Promise<void> {
  const { name, config, settings } = service
  const log = createLogger({ service: name, level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics(name)
  const firstWarm = Promise.withResolvers<void>()
  const slot = createSlot<In, Out, Prepared>(service, { log, metrics, onWarm: firstWarm.resolve })
  beginOnceReady(slot, service.onReady)
  slot.preload()
  let isRehearsed = false
  const status = () => (isRehearsed ? slot.status : readyButWarming(slot.status))
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
  await firstWarm.promise
  await rehearse({
    send: (base, signal) => slot.askItself(() => service.rehearse(base, signal)),
    base: `http://127.0.0.1:${server.port}`,
    // Nor is a model that was unloaded meanwhile to come back for it.
    isInUse: () => slot.status.state !== 'ready' || isInUse(slot),
    signal: drain.signal,
    now: () => performance.now(),
    status: slot.status,
    log,
  })
  // Of the model that sits there now: it need not be the one that was ready first. Its reads and hashes are work of the start, too.
  await history.record(slot.status)
  isRehearsed = true
  log.info({ model: slot.status.id, boot: slot.status.boot }, 'warm')
}

function beginOnceReady(slot: Pick<ModelSlot<never, unknown, unknown>, 'status' | 'watch'>, begin = () => {}): void {
  const unwatch = slot.watch(() => {
    if (slot.status.state !== 'ready') return
    unwatch()
    begin()
  })
}

/** Runs a service's `main`; a start that fails (bad settings, port in use) is told in plain words and ends the process. */
export function runService(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const told = error instanceof AppError ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${name}: ${told}\n`)
    leave(1)
  })
}
