/**
 * Runs a script with the pinned Node (the npm package `node`), after the pinned pnpm's frozen install.
 * Plain JavaScript without dependencies, because this file alone must run on whatever Node >= 18 a machine has.
 *
 *   node scripts/bootstrap.mjs scripts/start.ts [arguments]
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PNPM = 'pnpm@12.21.0'
const ATTEMPTS = 3
const INSTALL_LIMIT_MS = 20 * 60_000
const NETWORK_FAILURE =
  /E(?:CONN\w+|TIMEDOUT|AI_AGAIN|NOTFOUND|HOSTUNREACH|NETUNREACH|PIPE)|ERR_SOCKET\w*|ERR_PNPM_(?:META_FETCH_FAIL|FETCH_\w+|TARBALL_\w+)|UND_ERR\w+|socket hang up|network \w+/

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'node_modules', '.bin')
const stampPath = join(root, 'node_modules', '.hearth-install')

/** Every file that decides what the install makes: the lockfile, the workspace, and each package's manifest. */
function manifests() {
  const workspace = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')
  const patterns = [...workspace.matchAll(/^ {2}- (\S+)$/gm)].map((match) => match[1])
  const folders = patterns.flatMap((pattern) => {
    if (!pattern.endsWith('/*')) return [pattern]
    const parent = pattern.slice(0, -2)
    return readdirSync(join(root, parent))
      .sort()
      .map((name) => `${parent}/${name}`)
  })
  const files = ['', ...folders].map((folder) => join(root, folder, 'package.json')).filter((file) => existsSync(file))
  return [join(root, 'pnpm-lock.yaml'), join(root, 'pnpm-workspace.yaml'), ...files]
}

/** Changes when an install is due: another manifest, or a `node_modules` that came from another system. */
function installStamp() {
  const hash = createHash('sha256').update(`${PNPM} ${process.platform} ${process.arch}\n`)
  for (const file of manifests()) hash.update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

const isInstalled = (stamp) =>
  existsSync(join(bin, 'node')) && existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp

/** Runs the install quietly; resolves with its exit code and everything it said. */
function runInstall() {
  const child = spawn('npx', ['-y', PNPM, 'install', '--frozen-lockfile'], {
    cwd: root,
    // CI: no questions. NODE_ENV: production would leave out Node itself. ONNXRUNTIME...: no CUDA download.
    env: { ...process.env, CI: 'true', NODE_ENV: 'development', ONNXRUNTIME_NODE_INSTALL: 'skip' },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
    timeout: INSTALL_LIMIT_MS,
  })
  let output = ''
  const keep = (text) => (output += text)
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  return new Promise((done) => {
    child.once('error', (error) =>
      done({ code: 1, output: `npx (comes with Node) could not be run: ${error.message}` }),
    )
    child.once('close', (code, signal) =>
      done({ code: code ?? 1, output: signal ? `${output}\nended by ${signal}` : output }),
    )
  })
}

/** Makes `node_modules` what the lockfile says; nothing happens when it already is. */
async function install() {
  const stamp = installStamp()
  if (isInstalled(stamp)) return
  const start = performance.now()
  process.stdout.write('Installing dependencies ... ')
  for (let attempt = 1; ; attempt++) {
    const { code, output } = await runInstall()
    if (code === 0) break
    const reason = NETWORK_FAILURE.exec(output)?.[0]
    if (!reason || attempt === ATTEMPTS) {
      console.error(`failed.\n${output.trim().split('\n').slice(-25).join('\n')}`)
      process.exit(1)
    }
    process.stdout.write(`network failure (${reason}), trying again ... `)
    await pause((attempt - 1) * 3000)
  }
  writeFileSync(stampPath, stamp)
  console.log(`${((performance.now() - start) / 1000).toFixed(1)} s`)
}

/**
 * Runs the script with the pinned Node and ends as it ends. The path is absolute because a shell may have remembered
 * another `node`; the IPC channel closes when this process is gone, which is how the script can tell.
 */
function run(script, parameters) {
  const child = spawn(join(bin, 'node'), [script, ...parameters], {
    cwd: root,
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  whenNpmIsGone(() => child.kill('SIGTERM'))
  child.once('error', (error) => {
    console.error(`The pinned Node could not be run: ${error.message}`)
    process.exit(1)
  })
  child.once('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

/** npm can be killed without a word to what it runs; then nobody could end the stack by ending npm. */
function whenNpmIsGone(act) {
  if (!process.env.npm_lifecycle_event) return
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    act()
  }, 1000)
  watch.unref()
}

const [script, ...parameters] = process.argv.slice(2)
if (!script) {
  console.error('usage: node scripts/bootstrap.mjs <script.ts> [arguments]')
  process.exit(2)
}
await install()
run(script, parameters)
