import { describe } from 'vitest'
import { engineSuite } from './engine-suite.ts'
import { createEngine, fakeInput } from './fake-engine.ts'

describe('the fake engine', () => {
  engineSuite({
    create: () => createEngine({}),
    inputs: [fakeInput(1), fakeInput(2, 3), fakeInput(4), fakeInput(5), fakeInput(6)],
    same: (a, b) => a.data.join() === b.data.join(),
  })
})
