import { describe, expect, test } from 'vitest'
import { provideEngine } from './docker-engine.ts'

/** A machine on which the commands that begin so fail. */
function machine(failing: readonly string[]) {
  const ran: string[] = []
  const run = async (command: readonly string[]) => {
    const line = command.join(' ')
    ran.push(line)
    return failing.some((start) => line.startsWith(start)) ? `no\n${start(line)} failed` : null
  }
  return { ran, run }
}
const start = (line: string) => line.split(' ').slice(0, 2).join(' ')

describe('the engine for the tests of the compose file', () => {
  test('is the lab’s, which is stopped again when it was not running', async () => {
    const { ran, run } = machine(['docker info'])
    const engine = await provideEngine('/lab', run, () => true)
    expect(engine).toMatchObject({ kind: 'ready', told: 'the lab beside the clone' })
    if (engine.kind === 'ready') await engine.close()
    expect(ran).toEqual(['docker info', '/lab up', '/lab clean'])
  })

  test('is left running when it was', async () => {
    const { ran, run } = machine([])
    const engine = await provideEngine('/lab', run, () => true)
    if (engine.kind === 'ready') await engine.close()
    expect(ran).toEqual(['docker info', '/lab up'])
  })

  test('is a fault when the lab does not start', async () => {
    const engine = await provideEngine('/lab', machine(['/lab up']).run, () => true)
    expect(engine).toEqual({ kind: 'broken', told: 'the lab beside the clone does not start: /lab up failed' })
  })

  test.each([
    [['docker info'], /neither the lab/],
    [['docker compose version'], /neither the lab/],
    [['docker compose --profile'], /can't have the images: docker compose failed/],
    [['docker image', 'docker pull'], /can't have the images: docker pull failed/],
  ])('is not to be had, in words, when %j fail', async (failing, told) => {
    const engine = await provideEngine('/lab', machine(failing).run, () => false)
    expect(engine).toMatchObject({ kind: 'none', told: expect.stringMatching(told) })
  })

  test('is this machine’s, when the images are there or can be pulled', async () => {
    const engine = await provideEngine('/lab', machine([]).run, () => false)
    expect(engine).toMatchObject({ kind: 'ready', told: 'the Docker engine of this machine' })
  })
})
