/** Whether the memory that this process may use is enough for its model. */
import type { BootEntry, ModelStatus } from './api.ts'
import { failed, ok, skipped, type Verdict, warning } from './doctor.ts'
import type { FilesFound } from './doctor-files.ts'
import { bytesInWords } from './in-words.ts'

/** Weights, and what is made of them while they are loaded and used. Only where no start was measured. */
const FACTOR = 2
/** The service itself. */
const PROCESS_BYTES = 200e6
/** Left for the requests. */
const SPARE_BYTES = 100e6

export function memoryCheck(
  status: ModelStatus | null,
  { bytes }: FilesFound,
  boots: readonly Pick<BootEntry, 'bytes' | 'residentBytesAfter'>[],
  availableBytes = process.availableMemory(),
): Verdict {
  const remedy =
    'give it more memory, stop other programs, or choose a smaller model, or the q8 form of this one (STT_DTYPE=q8, EMBEDDINGS_DTYPE=q8)'
  const left = `${bytesInWords(availableBytes)} left`
  const used = status?.boot?.residentBytesAfter
  if (status?.state === 'ready' && used != null) {
    const state = `${status.id} is loaded: the process had ${bytesInWords(used)} then, ${left} now`
    return availableBytes < SPARE_BYTES ? warning(state, remedy) : ok(state)
  }
  const measured = boots.findLast((boot) => boot.bytes === bytes)?.residentBytesAfter
  const need = measured ?? (bytes > 0 ? bytes * FACTOR + PROCESS_BYTES : null)
  if (need === null) {
    const unknown = `${left}; what the model needs is not known before its files are here`
    return availableBytes < PROCESS_BYTES + SPARE_BYTES ? warning(unknown, remedy) : skipped(unknown)
  }
  const state = `${bytesInWords(need)} needed${measured == null ? ' (reckoned from its files)' : ''}, ${left}`
  return availableBytes < need + SPARE_BYTES ? failed(state, remedy) : ok(state)
}
