/** Room in the queue, asked of Redis only now and then: in between, places are given out of what was left. */

/** In which others may take places that we don't know of; far less than there is between the limit and what Redis can hold. */
const KNOWN_MS = 1000

/** `look` gives how many places are left, and throws when there are none; so does what this gives, which takes one. */
export function countedRoom(look: () => Promise<number>, now: () => number = () => performance.now()) {
  let left = 0
  let knownUntil = -Infinity
  return async function takePlace(): Promise<void> {
    if (left <= 0 || now() >= knownUntil) {
      left = await look()
      knownUntil = now() + KNOWN_MS
    }
    left--
  }
}
