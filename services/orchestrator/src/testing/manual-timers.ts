/** For tests: timers that fire when the test says so. */
import type { SetTimer } from '@hearth/shared/waits'

export function manualTimers() {
  const pending = new Map<() => void, number>()
  const setTimer: SetTimer = (done, ms) => {
    const fire = () => done()
    pending.set(fire, ms)
    return () => pending.delete(fire)
  }
  return {
    setTimer,
    /** Milliseconds of each that is set. */
    waits: () => [...pending.values()],
    /** All that are set now. */
    fire() {
      const due = [...pending.keys()]
      pending.clear()
      for (const done of due) done()
    },
  }
}
