/** What is in the images that the Dockerfile makes, and what is not: no root, no secrets, nothing that a build, a test or a person left there. */
import { beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { composeProject, docker } from '../compose.ts'

const GOAL_MEGABYTES = { orchestrator: 300, stt: 600, tts: 600, embeddings: 600 } as const
const SERVICES = ['orchestrator', 'stt', 'tts', 'embeddings'] as const

const Image = z.object({
  Size: z.number(),
  Config: z.object({ User: z.string(), Env: z.array(z.string()), Labels: z.record(z.string(), z.string()) }),
})

/** Looks through the whole image from within, without a network. */
const LOOK = `
  const { execFileSync } = require('node:child_process')
  const lines = (...args) => execFileSync('find', ['/', '-xdev', '-not', '-path', '/proc/*', '-not', '-path', '/sys/*', ...args], { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1e9 }).toString().split('\\n').filter(Boolean)
  const tried = (...args) => { try { return lines(...args) } catch (error) { return error.stdout.toString().split('\\n').filter(Boolean) } }
  const { readFileSync, statSync } = require('node:fs')
  const texts = tried('-type', 'f', '-size', '-256k', '-path', '/app/*', '-not', '-path', '*/node_modules/*')
  const secret = /-----BEGIN [A-Z ]*PRIVATE KEY|hf_[A-Za-z0-9]{30}|ghp_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|_authToken|sk-[A-Za-z0-9]{32}/
  console.log(JSON.stringify({
    uid: process.getuid(),
    writable: tried('-writable', '-type', 'd', '-not', '-path', '/dev*').sort(),
    setuid: tried('-perm', '/6000', '-type', 'f'),
    tools: ['npm', 'npx', 'pnpm', 'yarn', 'apt-get', 'gcc', 'cc', 'make', 'python3', 'git', 'curl', 'wget', 'perl'].filter((name) => { try { execFileSync('sh', ['-c', 'command -v ' + name]); return true } catch { return false } }),
    stray: tried('(', '-name', '*.test.ts', '-o', '-name', '.env*', '-o', '-name', '.git*', '-o', '-name', '.npmrc', '-o', '-name', '*.log', '-o', '-name', '*.tgz', '-o', '-name', '.bash_history', '-o', '-name', 'testing', '-o', '-name', '_cacache', ')', '-not', '-path', '/var/*', '-not', '-path', '*/node_modules/*'),
    secrets: texts.filter((file) => secret.test(readFileSync(file, 'latin1'))),
    app: execFileSync('ls', ['/app', '/app/services']).toString().split(/\\s+/).filter(Boolean),
    runtimes: tried('-name', 'libonnxruntime*', '-o', '-name', 'onnxruntime_binding.node'),
  }))
`
const Inside = z.object({
  uid: z.number(),
  writable: z.array(z.string()),
  setuid: z.array(z.string()),
  tools: z.array(z.string()),
  stray: z.array(z.string()),
  secrets: z.array(z.string()),
  app: z.array(z.string()),
  runtimes: z.array(z.string()),
})

beforeAll(async () => {
  const project = await composeProject()
  await project.run('build', ...SERVICES)
  await project.remove()
})

describe.each(SERVICES)('the image of %s', (service) => {
  const name = `hearth/${service}:local`
  const inspect = async () =>
    z
      .array(Image)
      .length(1)
      .parse(JSON.parse(await docker(['image', 'inspect', name])))[0]

  test('is small', async () => {
    const megabytes = ((await inspect())?.Size ?? Infinity) / 1e6
    console.log(`${name}: ${megabytes.toFixed(0)} MB`)
    expect(megabytes).toBeLessThan(GOAL_MEGABYTES[service])
  })

  test('says what it is, runs as nobody special, and carries no settings of the one who built it', async () => {
    const config = (await inspect())?.Config
    expect(config?.User).toBe('node')
    expect(config?.Labels['org.opencontainers.image.title']).toBe(`hearth-${service}`)
    const names = config?.Env.map((entry) => entry.split('=')[0])
    expect(names?.toSorted()).toEqual([
      'HEARTH_HOME',
      'HF_HOME',
      'MALLOC_MMAP_THRESHOLD_',
      'MALLOC_TRIM_THRESHOLD_',
      'NODE_COMPILE_CACHE',
      'NODE_ENV',
      'PATH',
    ])
    const history = await docker(['history', '--no-trunc', '--format', '{{.CreatedBy}}', name])
    expect(history).not.toMatch(/token|password|secret|_authToken/i)
  })

  test('has its service and nothing else', async () => {
    // Looking leaves nothing behind that would be found.
    const look = ['--network', 'none', '--cap-drop', 'ALL', '--env', 'NODE_DISABLE_COMPILE_CACHE=1']
    const run = ['run', '--rm', ...look, name, 'node', '-e', LOOK]
    const inside = Inside.parse(JSON.parse(await docker(run)))
    expect(inside.uid).toBe(1000)
    // With a read-only root, as in the compose file, the first two are volumes and /tmp is memory; the others can't be written.
    expect(['/cache', '/data', '/home/node', '/run/lock', '/tmp', '/var/tmp']).toEqual(
      expect.arrayContaining(inside.writable),
    )
    expect(inside).toMatchObject({ setuid: [], tools: [], stray: [], secrets: [] })
    expect(inside.app).toContain(service)
    expect(SERVICES.filter((other) => inside.app.includes(other))).toEqual([service])
    // This platform's library, once.
    expect(inside.runtimes).toHaveLength(2)
  })
})
