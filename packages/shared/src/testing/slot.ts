import { ModelChoices } from '../model-choice.ts'
import type { SeatModel } from '../model-seat.ts'
import { ModelSlot } from '../model-slot.ts'

/** Does what the test says; it is neither started nor closed. */
export type SlotModel<In, Out> = Pick<SeatModel<In, Out>, 'status' | 'ready' | 'submit'>

type SlotFixture<In, Out, Prepared> = {
  model: SlotModel<In, Out>
  /** What was read of the files, asked for at first and each time the model was waited for. */
  prepared: () => Prepared | null
  /** The model of the settings, beside the demo. */
  id?: string
  demo: string
}

/** A service's slot with a model of the test's own. */
export function slotOf<In, Out, Prepared>({
  model,
  prepared,
  id = 'org/model',
  demo,
}: SlotFixture<In, Out, Prepared>): ModelSlot<In, Out, Prepared> {
  return new ModelSlot<In, Out, Prepared>({
    choices: new ModelChoices({ id, revision: 'main', demo }),
    preload: 'eager',
    pull: async () => Promise.reject(new Error('not asked')),
    create: (_choice, hooks) => {
      const read = () => {
        const value = prepared()
        if (value !== null) hooks.onPrepared(value)
      }
      read()
      return {
        get status() {
          return model.status
        },
        ready: (signal, holdMs) => model.ready(signal, holdMs).then(read),
        submit: (input, signal, onPiece, holdMs) => model.submit(input, signal, onPiece, holdMs),
        preload: () => undefined,
        close: async () => undefined,
      }
    },
  })
}
