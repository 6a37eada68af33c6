/** Bytes and times as people read them: the same in bars, tables and the doctor's findings. */

/** `326 MB`, `1.2 GB`: powers of ten, as disks and hubs count. */
export function bytesInWords(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`
  if (bytes >= 1e7) return `${(bytes / 1e6).toFixed(0)} MB`
  return bytes >= 1e5 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(0)} kB`
}

/** `9 s`, `2 min 5 s`, `1 h 10 min`, rounded up. */
export function durationInWords(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
