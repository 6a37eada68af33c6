/**
 * Brings a real Chroma server into volumes/chroma-server, for the tests and benches that prove something against one. Chroma publishes its
 * server for npm as a library of each platform; `npm test` fetches it with npm, apart from Hearth's dependencies, because it takes 400 MB.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The newest that runs with the C library of Debian 12 (2.36); it is Chroma's server 1.0.0. */
const VERSION = '0.1.3'
/** For a slow line; without one, tests go on without Chroma. */
const LIMIT_MS = 180_000

const folder = fileURLToPath(new URL('../volumes/chroma-server', import.meta.url))
const library = `chromadb-js-bindings-${process.platform}-${process.arch}-gnu@${VERSION}`
mkdirSync(folder, { recursive: true })
console.log(`fetching ${library} into ${folder}`)
execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, library], {
  stdio: 'inherit',
  timeout: LIMIT_MS,
})
