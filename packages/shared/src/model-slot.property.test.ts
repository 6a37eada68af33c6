/** Whatever is asked of a slot, and in whatever order things end: one copy of each model at most, none that nobody owns, and nobody waits for ever. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CHOICES, SlotWorld, type Step } from './testing/slot-world.ts'
import { settle } from './testing/signals.ts'

const often = <T>(arbitrary: fc.Arbitrary<T>, weight: number) => ({ arbitrary, weight })
const choice = fc.constantFrom(...CHOICES.all, CHOICES.configured, CHOICES.configured)
const which = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  often(fc.record({ kind: fc.constantFrom('load', 'unload', 'request', 'lease'), choice }), 6),
  often(fc.record({ kind: fc.constant('goOn'), which }), 8),
  often(fc.record({ kind: fc.constantFrom('fail', 'crash', 'release'), which }), 3),
  often(fc.record({ kind: fc.constant('pass'), ms: fc.constantFrom(100, 12_000, 31_000, 601_000) }), 3),
  often(fc.record({ kind: fc.constant('keepAlive'), ms: fc.constantFrom(0, 5000) }), 1),
  often(fc.record({ kind: fc.constantFrom('drain', 'hubIsAway', 'hubAnswers', 'hubAnswers') }), 1),
)
/** So many microtasks until the next step, or all that is due. */
const pause = fc.oneof(often(fc.nat(5), 1), often(fc.constant('all' as const), 3))
type Pause = number | 'all'

/** An engine that is being made when it has to go, and takes as long as it may. */
const SLOW_END: [Step, Pause][] = [
  [{ kind: 'goOn', which: 0 }, 'all'],
  [{ kind: 'unload', choice: CHOICES.configured }, 'all'],
  [{ kind: 'load', choice: CHOICES.configured }, 'all'],
  [{ kind: 'goOn', which: 2 }, 'all'],
  [{ kind: 'pass', ms: 12_000 }, 'all'],
]

/** An engine that dies in the moment it is ready. */
const EARLY_DEATH: [Step, Pause][] = [
  [{ kind: 'goOn', which: 0 }, 0],
  [{ kind: 'request', choice: CHOICES.configured }, 'all'],
  [{ kind: 'goOn', which: 0 }, 0],
  [{ kind: 'crash', which: 0 }, 'all'],
  [{ kind: 'goOn', which: 0 }, 'all'],
]

const steps: fc.Arbitrary<[Step, Pause][]> = fc.array(fc.tuple(step, pause), { minLength: 1, maxLength: 40 })

test('one copy of a model at most, none without an owner, an end for everybody who waits', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (happenings) => {
      const world = new SlotWorld()
      for (const [happening, length] of happenings) {
        world.take(happening)
        if (length === 'all') await settle()
        else for (let turn = 0; turn < length; turn++) await Promise.resolve()
        world.look()
        expect(world.faults).toEqual([])
      }
      await world.comeToRest()
      await world.close()
      expect(world.faults).toEqual([])
    }),
    { examples: [[SLOW_END], [EARLY_DEATH]], numRuns: 500 },
  )
})
