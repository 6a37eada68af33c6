import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answersPing, provideRedis, redisCommand } from './redis.ts'
import type { Command, Machine } from './machine.ts'

/** A machine with these programs; each command that contains a key of `effects` succeeds and has the effect. */
function machineWith(programs: string[], options: { isRoot?: boolean; effects?: Record<string, () => void> } = {}) {
  const ran: string[] = []
  const machine: Machine = {
    isRoot: options.isRoot ?? false,
    find: (program) => (programs.includes(program) ? `/bin/${program}` : null),
    run: async (command) => {
      ran.push(command.join(' '))
      const effect = Object.entries(options.effects ?? {}).find(([part]) => command.join(' ').includes(part))
      effect?.[1]()
      return effect !== undefined
    },
  }
  return { machine, ran, programs }
}

const ignore = () => undefined

describe('providing Redis', () => {
  test('a server on PATH is used and nothing is run', async () => {
    const { machine, ran } = machineWith(['redis-server', 'apt-get'], { isRoot: true })
    expect(await provideRedis(machine, ignore)).toBe('/bin/redis-server')
    expect(ran).toEqual([])
  })

  test('root installs it without a question', async () => {
    const programs = ['apt-get']
    const effects = { 'install -y': () => programs.push('redis-server') }
    const { machine, ran } = machineWith(programs, { isRoot: true, effects })
    const told: string[] = []
    expect(await provideRedis(machine, (line) => told.push(line))).toBe('/bin/redis-server')
    expect(ran).toEqual([
      'env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends redis-server',
    ])
    expect(told).toEqual(['installing Redis with apt-get'])
  })

  test('package lists are fetched when the first try finds no package', async () => {
    const programs = ['apt-get']
    let hasLists = false
    const machine: Machine = {
      ...machineWith(programs, { isRoot: true }).machine,
      run: async (command) => {
        if (command.includes('update')) hasLists = true
        else if (hasLists) programs.push('redis-server')
        return hasLists
      },
    }
    expect(await provideRedis(machine, ignore)).toBe('/bin/redis-server')
  })

  test('a user whose sudo needs no password installs through sudo', async () => {
    const programs = ['apt-get', 'sudo']
    const effects = { 'sudo -n true': ignore, 'apt-get install': () => programs.push('redis-server') }
    const { machine, ran } = machineWith(programs, { effects })
    expect(await provideRedis(machine, ignore)).toBe('/bin/redis-server')
    expect(ran[1]).toMatch(/^sudo -n env DEBIAN_FRONTEND=noninteractive .*apt-get install/)
  })

  test('a user whose sudo asks for a password is not asked', async () => {
    const { machine, ran } = machineWith(['apt-get', 'sudo'])
    expect(await provideRedis(machine, ignore)).toBeNull()
    expect(ran).toEqual(['sudo -n true'])
  })

  test('Homebrew is run as the user', async () => {
    const programs = ['brew']
    const { machine, ran } = machineWith(programs, { effects: { brew: () => programs.push('redis-server') } })
    expect(await provideRedis(machine, ignore)).toBe('/bin/redis-server')
    expect(ran).toEqual(['brew install redis'])
  })

  test('an installation that fails is told', async () => {
    const { machine } = machineWith(['apk'], { isRoot: true })
    const told: string[] = []
    expect(await provideRedis(machine, (line) => told.push(line))).toBeNull()
    expect(told.at(-1)).toBe('apk could not install Redis')
  })
})

describe('the command', () => {
  const place = { port: 8084, dir: '/data/redis' }
  const hasPair = (command: Command | null, name: string, value: string) =>
    command?.some((word, index) => word === name && command[index + 1] === value)

  test('keeps what was written, never evicts, and listens on the loopback address only', async () => {
    const command = await redisCommand(place, machineWith(['redis-server']).machine, ignore)
    expect(command?.[0]).toBe('/bin/redis-server')
    const expected = { '--port': '8084', '--bind': '127.0.0.1', '--dir': '/data/redis', '--save': '' }
    const kept = { '--appendonly': 'yes', '--maxmemory-policy': 'noeviction' }
    for (const [name, value] of Object.entries({ ...expected, ...kept }))
      expect(hasPair(command, name, value), `${name} ${value}`).toBe(true)
  })

  test('goes through Docker when that answers, published on the loopback address only', async () => {
    const { machine } = machineWith(['docker'], { effects: { info: ignore } })
    const command = await redisCommand(place, machine, ignore)
    expect(command?.slice(0, 2)).toEqual(['/bin/docker', 'run'])
    expect(hasPair(command, '--publish', '127.0.0.1:8084:6379')).toBe(true)
    expect(hasPair(command, '--volume', '/data/redis:/data')).toBe(true)
  })

  test('is null when Docker has no daemon', async () => {
    expect(await redisCommand(place, machineWith(['docker']).machine, ignore)).toBeNull()
  })
})

describe('the readiness question', () => {
  const answering = async (answer: string) => {
    const server = createServer((socket) => socket.once('data', () => socket.end(answer)))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => {
      server.close()
    })
    return (server.address() as AddressInfo).port
  }

  test('is true for PONG, false while data is loaded', async () => {
    expect(await answersPing(await answering('+PONG\r\n'))).toBe(true)
    expect(await answersPing(await answering('-LOADING Redis is loading the dataset in memory\r\n'))).toBe(false)
  })

  test('is false when nothing listens', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    await once(server.close(), 'close')
    expect(await answersPing(port)).toBe(false)
  })
})
