import { describe, expect, test } from 'vitest'
import { abortListeners, gate, ManualClock, never, settle } from './testing/signals.ts'
import { eventLoopTurns, orAborted, WaitingRoom, within } from './waits.ts'

const silent = new Promise<never>(() => undefined)
const tooLate = () => new Error('too late')

describe('a wait with a limit', () => {
  test('ends with its work, or at its limit, and leaves no timer', async () => {
    const clock = new ManualClock()
    await within(100, Promise.resolve(), clock.setTimer)
    await expect(within(100, Promise.reject(new Error('broken')), clock.setTimer)).rejects.toThrow('broken')
    expect(clock.pending).toEqual([])
    const late = within(100, silent, clock.setTimer)
    clock.advance(100)
    await expect(late).resolves.toBeUndefined()
  })
})

describe('work that may ignore its signal', () => {
  test('is left when the signal aborts, before or meanwhile', async () => {
    const controller = new AbortController()
    const left = orAborted(silent, controller.signal)
    controller.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    await expect(orAborted(silent, controller.signal)).rejects.toThrow('gone')
  })

  test('that ends keeps its result and leaves no listener', async () => {
    const { signal } = new AbortController()
    expect(await orAborted(Promise.resolve(1), signal)).toBe(1)
    await expect(orAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken')
    expect(abortListeners(signal)).toBe(0)
  })
})

describe('long work on the thread that serves', () => {
  test('lets the event loop turn when its time is up, not before', async () => {
    const clock = new ManualClock()
    const turn = eventLoopTurns(never, clock.now)
    let turns = 0
    setImmediate(() => turns++)
    for (let step = 0; step < 100; step++) await turn()
    expect(turns).toBe(0)
    clock.advance(5)
    await turn()
    expect(turns).toBe(1)
  })

  test('ends there when its signal has aborted', async () => {
    const clock = new ManualClock()
    const controller = new AbortController()
    const turn = eventLoopTurns(controller.signal, clock.now)
    controller.abort(new Error('gone'))
    clock.advance(5)
    await expect(turn()).rejects.toThrow('gone')
  })
})

describe('a waiting room', () => {
  test('admits all, in the order they came', async () => {
    const room = new WaitingRoom(new ManualClock().setTimer)
    const order: number[] = []
    const waiting = [1, 2, 3].map((guest) => room.wait(100, tooLate, never).then(() => order.push(guest)))
    expect(room.size).toBe(3)
    room.admit()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
    expect(room.size).toBe(0)
  })

  test('dismisses all with one reason', async () => {
    const room = new WaitingRoom(new ManualClock().setTimer)
    const waiting = [1, 2].map(() => room.wait(100, tooLate, never))
    room.dismiss(new Error('closed'))
    for (const wait of waiting) await expect(wait).rejects.toThrow('closed')
  })

  test('lets nobody wait longer than agreed, nor one who has left', async () => {
    const clock = new ManualClock()
    const room = new WaitingRoom(clock.setTimer)
    const controller = new AbortController()
    const [late, leaving] = [room.wait(100, tooLate, never), room.wait(200, tooLate, controller.signal)]
    clock.advance(100)
    await expect(late).rejects.toThrow('too late')
    controller.abort(new Error('gone'))
    await expect(leaving).rejects.toThrow('gone')
    await expect(room.wait(100, tooLate, controller.signal)).rejects.toThrow('gone')
    expect([room.size, clock.pending, abortListeners(controller.signal)]).toEqual([0, [], 0])
  })

  test('does not keep those who come while others are admitted', async () => {
    const room = new WaitingRoom(new ManualClock().setTimer)
    const second = gate()
    const first = room.wait(100, tooLate, never).then(() => room.wait(100, tooLate, never).then(second.resolve))
    room.admit()
    await settle()
    expect(room.size).toBe(1)
    room.admit()
    await first
    await second.promise
  })
})
