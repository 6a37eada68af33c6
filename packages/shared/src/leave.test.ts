import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'

async function start() {
  const child = fork(new URL('./testing/leaver.ts', import.meta.url), { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

test('a process leaves with its code and its last words', async () => {
  const child = await start()
  const written = child.stdout?.setEncoding('utf8').toArray()
  // As long as a busy machine needs.
  child.send(60_000)
  expect(await once(child, 'exit')).toEqual([3, null])
  expect((await written)?.join('')).toContain('last words')
})

test.skipIf(process.platform === 'win32')(
  'a process that can not leave, because it writes to a log that nobody reads any more, is ended',
  async () => {
    const child = await start()
    child.stdout?.destroy()
    child.send(100)
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
  },
)

test.skipIf(process.platform === 'win32')(
  'a process that leaves at once waits for nothing, not even for such a log, and has its code all the same',
  async () => {
    const child = await start()
    child.stdout?.destroy()
    child.send('at once')
    expect(await once(child, 'exit')).toEqual([4, null])
  },
)

test('where a process can not become another program, it leaves as always', async () => {
  const child = await start()
  child.send('at once, alone')
  expect(await once(child, 'exit')).toEqual([4, null])
}, 10_000)
