import { expect, test } from 'vitest'
import { Heard } from './heard.ts'

test('tells which item is being heard and for how long, also when several wait', () => {
  const heard = new Heard(1000)
  heard.queued('one', 200)
  heard.queued('one', 300)
  heard.queued('two', 400)
  heard.playedTo(123)
  expect(heard.now()).toEqual({ itemId: 'one', ms: 123 })
  heard.playedTo(500)
  expect(heard.now()).toEqual({ itemId: 'two', ms: 0 })
  heard.playedTo(899)
  expect(heard.now()).toEqual({ itemId: 'two', ms: 399 })
})

test('what has been heard to its end is not being heard', () => {
  const heard = new Heard(1000)
  expect(heard.now()).toBeNull()
  heard.queued('one', 10)
  heard.playedTo(10)
  expect(heard.now()).toBeNull()
})

test('after a cut the count begins anew', () => {
  const heard = new Heard(1000)
  heard.queued('one', 500)
  heard.playedTo(100)
  heard.clear()
  heard.queued('two', 500)
  heard.playedTo(-128)
  expect(heard.now()).toEqual({ itemId: 'two', ms: 0 })
})
