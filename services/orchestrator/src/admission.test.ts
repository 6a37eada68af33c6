import { expect, test } from 'vitest'
import { Admission } from './admission.ts'

test('takes so many and refuses more, until one leaves', () => {
  const admission = new Admission(2)
  const leave = admission.enter()
  admission.enter()
  expect(() => admission.enter()).toThrow(expect.objectContaining({ code: 'overloaded', retryAfterMs: 1000 }))
  leave()
  expect(admission.running).toBe(1)
  admission.enter()
})

test('a place that is lent is one more until it is given back', () => {
  const admission = new Admission(1)
  const giveBack = admission.lend()
  const leave = admission.enter()
  admission.enter()
  expect(() => admission.enter()).toThrow('2 turns are running')
  giveBack()
  giveBack()
  leave()
  expect(() => admission.enter()).toThrow('1 turns are running')
})

test('leaving twice gives back one place', () => {
  const admission = new Admission(2)
  const leave = admission.enter()
  admission.enter()
  leave()
  leave()
  expect(admission.running).toBe(1)
})
