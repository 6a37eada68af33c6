/** What a test sees and steers of a fake engine that runs in another thread: counters and one gate in shared memory. */

const SLOTS = ['loads', 'closes', 'runs', 'rows', 'entered', 'gate', 'busy', 'closedWhileBusy'] as const
type Slot = (typeof SLOTS)[number]

const slotsOf = (shared: SharedArrayBuffer): Int32Array<SharedArrayBuffer> => new Int32Array(shared)

/** The test's side. `shared` goes into the engine's options. */
export class FakeControl {
  readonly shared = new SharedArrayBuffer(4 * SLOTS.length)

  get(slot: Slot): number {
    return Atomics.load(slotsOf(this.shared), SLOTS.indexOf(slot))
  }

  /** Lets every row that waits, and every later one, go on. */
  open(): void {
    Atomics.store(slotsOf(this.shared), SLOTS.indexOf('gate'), 1)
    Atomics.notify(slotsOf(this.shared), SLOTS.indexOf('gate'))
  }

  /** Waits until the engine has begun work on `rows` rows. */
  entered(rows = 1): Promise<void> {
    return this.reached('entered', rows)
  }

  async reached(slot: Slot, wanted: number): Promise<void> {
    for (let seen = this.get(slot); seen < wanted; seen = this.get(slot)) await changed(this.shared, slot, seen)
  }
}

/** The engine's side: adds to a counter and wakes whoever watches it. */
export function count(shared: SharedArrayBuffer | undefined, slot: Slot, by = 1): void {
  if (!shared) return
  Atomics.add(slotsOf(shared), SLOTS.indexOf(slot), by)
  Atomics.notify(slotsOf(shared), SLOTS.indexOf(slot))
}

export const countOf = (shared: SharedArrayBuffer | undefined, slot: Slot): number =>
  shared ? Atomics.load(slotsOf(shared), SLOTS.indexOf(slot)) : 0

/** Waits for the gate, without blocking the thread. */
export async function gateOpen(shared: SharedArrayBuffer | undefined): Promise<void> {
  if (!shared) throw new Error('a row that waits for the gate needs `shared`, see FakeControl')
  while (countOf(shared, 'gate') === 0) await changed(shared, 'gate', 0)
}

async function changed(shared: SharedArrayBuffer, slot: Slot, from: number): Promise<void> {
  await Atomics.waitAsync(slotsOf(shared), SLOTS.indexOf(slot), from).value
}
