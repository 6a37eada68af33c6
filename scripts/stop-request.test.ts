import { EventEmitter } from 'node:events'
import { eventually } from '@hearth/shared/testing/eventually'
import { expect, test, vi } from 'vitest'
import { onStopRequest } from './stop-request.ts'

function arrange() {
  const clock = { now: 0 }
  const source = Object.assign(new EventEmitter(), { exit: vi.fn<(code: number) => void>() })
  const ended = Promise.withResolvers<void>()
  const actions = { stop: vi.fn<() => Promise<void>>(() => ended.promise), kill: vi.fn<() => void>() }
  const signal = onStopRequest(actions, source, () => clock.now)
  return { clock, source, ended, signal, ...actions }
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'])(
  '%s stops the stack, and the exit waits for the end',
  async (event) => {
    const { source, stop, kill, ended, signal } = arrange()
    expect(signal.aborted).toBe(false)
    source.emit(event)
    expect(signal.aborted).toBe(true)
    expect(stop).toHaveBeenCalledTimes(1)
    expect(source.exit).not.toHaveBeenCalled()
    ended.resolve()
    await eventually(() => expect(source.exit).toHaveBeenCalledWith(0))
    expect(kill).not.toHaveBeenCalled()
  },
)

test('one Ctrl-C that arrives several times is one request', () => {
  const { clock, source, stop, kill } = arrange()
  for (const ms of [0, 1, 300]) {
    clock.now = ms
    source.emit('SIGINT')
  }
  expect(stop).toHaveBeenCalledTimes(1)
  expect(kill).not.toHaveBeenCalled()
})

test('a second Ctrl-C kills', () => {
  const { clock, source, kill } = arrange()
  source.emit('SIGINT')
  clock.now = 1000
  source.emit('SIGINT')
  expect(kill).toHaveBeenCalledTimes(1)
  expect(source.exit).toHaveBeenCalledWith(1)
})

test('a stop that fails still ends', async () => {
  const { source, ended } = arrange()
  source.emit('SIGTERM')
  ended.reject(new Error('stuck'))
  await eventually(() => expect(source.exit).toHaveBeenCalledWith(1))
})
