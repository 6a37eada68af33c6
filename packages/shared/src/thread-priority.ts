/**
 * Threads that give way to the one that serves (docs/decisions/0004). On Linux a thread has a priority of its own, and those it starts inherit
 * it. Elsewhere this would slow the whole process down, and nothing is done.
 */
import { getPriority, setPriority } from 'node:os'

/** Nice values: `inference` takes what all others leave, `aside` is work that a request waits for before it. */
const NICE = { inference: 19, aside: 10 } as const

/** Of the calling thread, before it starts others. What already has a lower priority keeps it. */
export function giveWay(as: keyof typeof NICE): void {
  if (process.platform === 'linux') setPriority(Math.max(NICE[as], getPriority()))
}
