import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { Supervisor } from './supervisor.ts'
import type { SupervisorEvent, SupervisorOptions } from './supervisor.ts'

type Timer = { task: () => void; ms: number; isCancelled: boolean }

/** A supervisor over a one-line Node program, with timers that run when the test says so. */
function supervise(program: string, options: Partial<SupervisorOptions> = {}) {
  const timers: Timer[] = []
  const events: SupervisorEvent[] = []
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const changed = (_count: number) => waiting.forEach((check) => check())
  const supervisor = new Supervisor({
    command: [process.execPath, '-e', program],
    cwd: import.meta.dirname,
    env: { PATH: process.env['PATH'] },
    onLine: (line) => changed(lines.push(line)),
    onEvent: (event) => changed(events.push(event)),
    stopMs: 1000,
    now: () => 0,
    setTimer: (task, ms) => {
      const timer = { task, ms, isCancelled: false }
      timers.push(timer)
      return () => {
        timer.isCancelled = true
      }
    },
    ...options,
  })
  /** Resolves as soon as the condition holds; it is looked at after each line and event. */
  const until = (condition: () => boolean) =>
    new Promise<void>((done) => {
      const check = () => {
        if (condition()) done()
      }
      waiting.add(check)
      check()
    })
  onTestFinished(() => supervisor.kill())
  return { supervisor, timers, events, lines, until }
}

const deathsOf = (events: readonly SupervisorEvent[]) => events.filter((event) => event.type === 'died')

const STAYS = `console.log('up'); setInterval(() => {}, 1000)`

test('both output streams arrive line by line', async () => {
  const { supervisor, lines, until } = supervise(
    `console.log('one\\ntwo'); console.error('three'); setInterval(() => {}, 1000)`,
  )
  supervisor.start()
  await until(() => lines.length === 3)
  expect(lines.toSorted()).toEqual(['one', 'three', 'two'])
})

test('a child that dies is restarted with a back-off that doubles up to 30 s', async () => {
  const { supervisor, timers, events, until } = supervise('process.exit(3)')
  supervisor.start()
  for (let death = 1; death <= 8; death++) {
    await until(() => deathsOf(events).length === death)
    timers.at(-1)?.task()
  }
  expect(timers.slice(0, 8).map((timer) => timer.ms)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  expect(deathsOf(events)[0]).toEqual({ type: 'died', cause: 'exit code 3', restartMs: 500 })
  expect(events.filter((event) => event.type === 'started')).toHaveLength(9)
})

test('a minute of life resets the back-off', async () => {
  let now = 0
  const { supervisor, timers, events, until } = supervise('process.exit(3)', { now: () => now })
  supervisor.start()
  await until(() => deathsOf(events).length === 1)
  timers[0]?.task()
  expect(supervisor.deaths).toBe(1)
  now = 60_000
  expect(supervisor.deaths).toBe(0)
  await until(() => deathsOf(events).length === 2)
  expect(timers.map((timer) => timer.ms)).toEqual([500, 500])
})

test('a killed child is told by its signal', async () => {
  const { supervisor, events, until } = supervise(`process.kill(process.pid, 'SIGKILL')`)
  supervisor.start()
  await until(() => deathsOf(events).length === 1)
  expect(deathsOf(events)[0]).toMatchObject({ cause: 'SIGKILL' })
})

test('a program that does not exist is a death, told by the shell', async () => {
  const { supervisor, events, lines, until } = supervise('', { command: ['/nowhere/at-all'] })
  supervisor.start()
  await until(() => deathsOf(events).length === 1 && lines.length > 0)
  expect(deathsOf(events)[0]).toMatchObject({ cause: 'exit code 127' })
  expect(lines.join('\n')).toContain('/nowhere/at-all')
})

test('stop asks with SIGTERM, waits for the end and does not restart', async () => {
  const program = `process.on('SIGTERM', () => { console.log('draining'); process.exit(0) }); ${STAYS}`
  const { supervisor, timers, events, lines, until } = supervise(program)
  supervisor.start()
  await until(() => lines.includes('up'))
  await supervisor.stop()
  expect(deathsOf(events)).toEqual([])
  expect(timers).toMatchObject([{ ms: 1000, isCancelled: true }])
  await until(() => lines.includes('draining'))
})

test('stop kills a child that does not end in time', async () => {
  const { supervisor, timers, lines, until } = supervise(`process.on('SIGTERM', () => console.log('no')); ${STAYS}`)
  supervisor.start()
  await until(() => lines.includes('up'))
  const stopped = supervisor.stop()
  await until(() => lines.includes('no'))
  timers[0]?.task()
  await stopped
  expect(lines).toEqual(['up', 'no'])
})

test('stop during a back-off cancels the restart', async () => {
  const { supervisor, timers, events, until } = supervise('process.exit(1)')
  supervisor.start()
  await until(() => deathsOf(events).length === 1)
  await supervisor.stop()
  expect(timers[0]?.isCancelled).toBe(true)
})

test('a child ends when its parent is killed without a chance to clean up', async () => {
  const { server, port } = await listen()
  const connected = once(server, 'connection') as Promise<[Socket]>
  const child = `require('node:net').connect(${port}, '127.0.0.1')`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', parentProgram(child)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [socket] = await connected
  socket.resume().on('error', () => undefined)
  const gone = once(socket, 'close')
  const [pid] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
  onTestFinished(() => endQuietly(Number(pid)))
  parent.kill('SIGKILL')
  await expect(gone).resolves.toBeDefined()
})

/** A supervisor in a process of its own, over a child that holds a connection open. */
const parentProgram = (child: string) => `
  import { Supervisor } from './supervisor.ts'
  new Supervisor({
    command: [process.execPath, '-e', ${JSON.stringify(child)}], cwd: '.', env: {}, stopMs: 1000,
    onLine: () => {}, onEvent: (event) => console.log(event.pid),
  }).start()`

async function listen() {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended, as it should.
  }
}
