/** For tests: waits for what is on its way in this process or another, however busy the machine is. */
import { vi } from 'vitest'

/** Below the limit of a test, so that what was not as expected is told. */
const LIMIT_MS = 15_000

/** Looks until `look` no longer throws, and gives what it gives; throws its last error at the limit. */
export const eventually = <T>(look: () => T | Promise<T>): Promise<T> => vi.waitFor(look, LIMIT_MS)
