/** What Hearth says about itself: one logger and one metrics registry. Never what people said. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import pino from 'pino'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Log = pino.Logger

/** Log lines that wait for a reader; past this many bytes lines are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024

/**
 * JSON lines on standard output, or on `destination`. Written in the background: a reader that stops reading, or goes away, never stops the
 * service. What waits is written when the process exits.
 */
export function createLogger(
  { service, level }: { service: string; level: string },
  // With a least length of 0 it would not tell when all is written.
  destination: pino.DestinationStream = pino.destination({
    dest: 1,
    sync: false,
    minLength: 1,
    maxLength: MAX_WAITING_BYTES,
  }),
): Log {
  return pino({ level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}

/** Seconds. From a cache hit to a cold turn. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export type BatchFigures = { batchSize: number; inferenceMs: number; queueMs: readonly number[] }

/** A registry of the service's own, with the process' metrics and Hearth's histograms. */
export class Metrics {
  readonly registry = new Registry()
  readonly #requests = this.#histogram(
    'hearth_request_duration_seconds',
    'HTTP requests',
    ['method', 'route', 'status'],
    SECONDS,
  )
  readonly #stages = this.#histogram('hearth_stage_duration_seconds', 'Stages of a turn', ['stage'], SECONDS)
  readonly #queue = this.#histogram('hearth_queue_duration_seconds', 'Wait for a batch', ['model'], SECONDS)
  readonly #inference = this.#histogram('hearth_inference_duration_seconds', 'Inference of a batch', ['model'], SECONDS)
  readonly #batchSize = this.#histogram('hearth_batch_size', 'Inputs in a batch', ['model'], [1, 2, 4, 8, 16, 32])
  readonly #modelState: Gauge<'model' | 'state'>
  readonly #stateOf = new Map<string, string>()
  /** Forgets the event loop pauses so far, as each scrape does. */
  readonly resetEventLoopDelay: () => void

  constructor(service: string) {
    this.registry.setDefaultLabels({ service })
    this.#modelState = new Gauge({
      name: 'hearth_model_state',
      help: '1 for the state a model is in',
      labelNames: ['model', 'state'],
      registers: [this.registry],
    })
    // Pauses of the event loop are watched below; prom-client's own watch would wake an idle process a hundred times a second.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 1000 })
    this.resetEventLoopDelay = watchEventLoop(this.registry)
  }

  observeRequest(labels: { method: string; route: string; status: number }, ms: number): void {
    this.#requests.observe({ ...labels, status: String(labels.status) }, ms / 1000)
  }

  observeStage(stage: string, ms: number): void {
    this.#stages.observe({ stage }, ms / 1000)
  }

  observeBatch(model: string, { batchSize, inferenceMs, queueMs }: BatchFigures): void {
    this.#batchSize.observe({ model }, batchSize)
    this.#inference.observe({ model }, inferenceMs / 1000)
    for (const ms of queueMs) this.#queue.observe({ model }, ms / 1000)
  }

  /** The state before it is no more. */
  setModelState(model: string, state: string): void {
    const before = this.#stateOf.get(model)
    if (before !== undefined) this.#modelState.set({ model, state: before }, 0)
    this.#modelState.set({ model, state }, 1)
    this.#stateOf.set(model, state)
  }

  /** A histogram of seconds that one service has; gives what observes milliseconds. */
  addDuration<Label extends string>(name: string, help: string, labelNames: Label[]) {
    const histogram = this.#histogram(name, help, labelNames, SECONDS)
    return (labels: Record<Label, string>, ms: number): void => histogram.observe(labels, ms / 1000)
  }

  /** A histogram of counts that one service has; gives what observes one. */
  addSizes(name: string, help: string, buckets: number[]) {
    const histogram = this.#histogram(name, help, [], buckets)
    return (size: number): void => histogram.observe(size)
  }

  /** A gauge that one service has, read at each scrape; nothing is told of it when `read` fails. */
  addGauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    read: () => Promise<readonly (readonly [labels: Record<Label, string>, value: number])[]>,
  ): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect: async () => {
        const values = await read().catch(() => [])
        gauge.reset()
        for (const [labels, value] of values) gauge.set(labels, value)
      },
    })
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] })
  }
}

export const createMetrics = (service: string): Metrics => new Metrics(service)

/** The monitor's own period: its figures are at most this much above the true pause, never below. */
const RESOLUTION_MS = 5

/**
 * The pauses of the event loop since the last scrape, in seconds: with inference in threads of its own the longest stays below 20 ms. Returns
 * what starts the count anew.
 */
function watchEventLoop(registry: Registry): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const gauge = (name: string, help: string, collect?: () => void) =>
    new Gauge({ name, help, registers: [registry], ...(collect && { collect }) })
  const max = gauge('hearth_event_loop_delay_max_seconds', 'Longest event loop pause since the last scrape', () => {
    max.set(delay.max / 1e9)
    p99.set(delay.percentile(99) / 1e9)
    delay.reset()
  })
  // Collected after `max`, which fills both before it resets.
  const p99 = gauge('hearth_event_loop_delay_p99_seconds', '99th percentile of event loop pauses since the last scrape')
  return () => delay.reset()
}
