import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as immediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLogger, createMetrics } from './telemetry.ts'

test('metrics have registries of their own and say which state a model is in', async () => {
  const [one, other] = [createMetrics('one'), createMetrics('other')]
  one.setModelState('stt', 'warming')
  one.setModelState('stt', 'ready')
  one.observeBatch('stt', { batchSize: 3, inferenceMs: 20, queueMs: [1, 2, 3] })
  const text = await one.registry.metrics()
  expect(text).toContain('hearth_model_state{model="stt",state="ready",service="one"} 1')
  expect(text).toContain('hearth_model_state{model="stt",state="warming",service="one"} 0')
  expect(text).toContain('hearth_queue_duration_seconds_count{service="one",model="stt"} 3')
  expect(text).toMatch(/hearth_event_loop_delay_max_seconds\{service="one"\} \d/)
  expect(await other.registry.metrics()).not.toContain('state="ready"')
})

test('the longest pause of the event loop is told, until the next scrape or reset', async () => {
  const metrics = createMetrics('test')
  const longestMs = async () => {
    const text = await metrics.registry.metrics()
    return 1000 * Number(/^hearth_event_loop_delay_max_seconds\{[^}]*\} (\S+)$/m.exec(text)?.[1])
  }
  // The monitor's timer has to have fired once before, and once after the pause: all that are due fire before an immediate does.
  const afterTimers = async () => {
    await once(AbortSignal.timeout(20), 'abort')
    await immediate()
  }
  const block = async () => {
    await afterTimers()
    for (const end = performance.now() + 100; performance.now() < end;);
    await afterTimers()
  }
  await block()
  const longest = await longestMs()
  expect(longest).toBeGreaterThanOrEqual(100)
  expect(await longestMs()).toBeLessThan(longest)
  await block()
  metrics.resetEventLoopDelay()
  expect(await longestMs()).toBe(0)
  expect(await metrics.registry.metrics()).toContain('hearth_event_loop_delay_p99_seconds')
})

test('a log line is one line of JSON with level, time and service, and errors with their causes', () => {
  const lines: string[] = []
  const log = createLogger({ service: 'stt', level: 'info' }, { write: (line) => void lines.push(line) })
  log.debug('not this one')
  log.error({ err: new Error('outside', { cause: new Error('inside') }) }, 'failed')
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 50,
    service: 'stt',
    msg: 'failed',
    time: expect.any(String),
  })
  expect(lines[0]).toContain('inside')
  expect(lines[0]?.match(/\n/g)).toHaveLength(1)
})

/** A process that logs 2 MB, more than a pipe holds, and then says that it is still alive. */
const chatty = () =>
  fork(new URL('./testing/chatty-logger.ts', import.meta.url), { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })

test('a reader of the log that stops reading does not stop the service', async () => {
  const child = chatty()
  expect(await once(child, 'message')).toContain('alive')
  child.kill('SIGKILL')
  await once(child, 'exit')
})

test('a reader of the log that goes away does not stop the service', async () => {
  const child = chatty()
  child.stdout?.destroy()
  expect(await once(child, 'message')).toContain('alive')
  expect(child.exitCode).toBeNull()
  child.kill('SIGKILL')
  await once(child, 'exit')
})

test('what was logged just before the end of the process is written', async () => {
  const child = fork(new URL('./testing/chatty-logger.ts', import.meta.url), ['leave'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  let text = ''
  child.stdout?.on('data', (piece: Buffer) => (text += piece.toString()))
  await once(child, 'close')
  expect(text.trim().split('\n').at(-1)).toContain('last words')
})
