/** What the compose file and the Dockerfile promise, read from the files alone. What they do is tested in e2e/containers. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '@hearth/shared/config'
import { isKnownName } from '@hearth/shared/local-names'
import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { read, readComposeFile, ROOT } from './compose-file.ts'
import type { ComposeService } from './compose-file.ts'
import { SECTIONS } from '../services/orchestrator/src/config.ts'

const { services, networks, volumes } = readComposeFile()
const named: [string, ComposeService][] = Object.entries(services)
const OWN = ['orchestrator', 'stt', 'tts', 'embeddings']
/** services' own limit for requests in flight: `drainMs` of serve.ts. */
const DRAIN_SECONDS = 30
const seconds = (period = '0s'): number => {
  const [, count, unit] = /^(\d+)([sm])$/.exec(period) ?? []
  return Number(count) * (unit === 'm' ? 60 : 1)
}

// That each is read-only, without rights, with an init process, limits, bounded logs and a probe is already what parses (compose-file.ts).
describe.each(named)('%s', (name, service) => {
  test('has an image that stays what it is', () => {
    expect(service.image).toMatch(
      OWN.includes(name)
        ? /^hearth\/\w+:\$\{HEARTH_TAG:-local\}$/
        : /:v?\d+\.\d+\.\d+(-alpine)?$|@sha256:[0-9a-f]{64}$/,
    )
  })

  test('is published on loopback or not at all', () => {
    for (const port of service.ports) expect(port).toMatch(/^\$\{\w+_BIND:-127\.0\.0\.1\}:\$\{\w+_PORT:-\d+\}:\d+$/)
    const isDoor = ['orchestrator', 'caddy', 'grafana'].includes(name)
    expect(service.ports).toHaveLength(isDoor ? 1 : 0)
  })

  test('gets no right back but the one that Caddy’s file carries', () => {
    expect(service.cap_add).toEqual(name === 'caddy' ? ['NET_BIND_SERVICE'] : [])
  })

  test('writes to named volumes only', () => {
    const mounts = service.volumes.map((volume) => volume.split(':'))
    const [files, others] = [
      mounts.filter(([source]) => source?.startsWith('./')),
      mounts.filter(([source]) => !source?.startsWith('./')),
    ]
    for (const [source = '', , mode] of files) expect([mode, existsSync(join(ROOT, source))]).toEqual(['ro', true])
    for (const [source = ''] of others) expect(volumes).toHaveProperty([source])
  })
})

describe.each(OWN)('%s, one of ours,', (name) => {
  const service = services[name]

  test('is built from the one Dockerfile', () => expect(service?.build?.args.SERVICE).toBe(name))

  test('may finish what it does before it is killed', () => {
    expect(seconds(service?.stop_grace_period)).toBeGreaterThan(DRAIN_SECONDS)
  })

  test('is asked whether it is ready', () => {
    expect(JSON.stringify(service?.healthcheck)).toContain('/ready')
  })
})

describe('the stack', () => {
  test('keeps what is stored in a network without a way out, which only the orchestrator shares', () => {
    expect(networks['store']).toEqual({ internal: true })
    const inside = named.filter(([, { networks: theirs }]) => theirs.includes('store')).map(([name]) => name)
    expect(inside.toSorted()).toEqual(['chroma', 'orchestrator', 'redis'])
  })

  test('gives each name one address per replica: a service and who calls it share exactly one network', () => {
    for (const name of ['stt', 'tts', 'embeddings', 'ollama']) {
      const shared = services[name]?.networks.filter((network) => services['orchestrator']?.networks.includes(network))
      expect(shared).toHaveLength(1)
    }
  })

  test('has as many processors as threads', () => {
    for (const [name, threads] of [
      ['orchestrator', 'CHAT_THREADS'],
      ['stt', 'STT_THREADS'],
      ['tts', 'TTS_THREADS'],
      ['embeddings', 'EMBEDDINGS_THREADS'],
    ] as const)
      expect(services[name]?.environment[threads]).toBe(services[name]?.cpus)
  })

  test('has a cache volume for each service with a model', () => {
    for (const name of OWN) {
      const cache = services[name]?.volumes.find((volume) => volume.endsWith(':/cache'))
      expect(cache).toBe(`${name === 'orchestrator' ? 'chat' : name}-cache:/cache`)
    }
  })

  test('has a Redis that forgets nothing and refuses when it is full', () => {
    const command = services['redis']?.command?.join(' ')
    expect(command).toContain('--appendonly yes')
    expect(command).toContain('--maxmemory-policy noeviction')
  })

  test('keeps keys and secrets that are none of their business out of the model services', () => {
    const empty = { HEARTH_API_KEY: '', LLM_API_KEY: '', SPOOL_S3_SECRET: '', WEBHOOK_SECRET: '' }
    for (const name of ['stt', 'tts', 'embeddings']) expect(services[name]?.environment).toMatchObject(empty)
  })

  test('is found under the name in its certificate, and under those of .env', () => {
    const given: Record<string, string> = { HEARTH_ALLOWED_HOSTS: '.home.example', HTTPS_HOST: 'voice.example.com' }
    const written = String(services['orchestrator']?.environment['HEARTH_ALLOWED_HOSTS'])
    const allowedUnder = (settings: Record<string, string>) => {
      const fill = (_: string, name: string, otherwise: string) => settings[name] ?? otherwise
      const value = written.replaceAll(/\$\{([A-Z_]+):-([^}]*)\}/g, fill)
      return readConfig(SECTIONS, { HEARTH_ALLOWED_HOSTS: value }).hearth.allowedHosts
    }
    const isFound = (name: string) => isKnownName(name, allowedUnder(given))
    expect(['voice.example.com', 'a.home.example', 'evil.example'].map(isFound)).toEqual([true, true, false])
    expect(isKnownName('evil.example', allowedUnder({}))).toBe(false)
  })

  test('starts everything at once: only the one-shot waits for somebody’s health', () => {
    const waiting = named.filter(([, { depends_on: needed }]) => needed && !Array.isArray(needed)).map(([name]) => name)
    expect(waiting).toEqual(['ollama-pull'])
  })

  test('asks for a GPU only in the file that is for it', () => {
    expect(read('docker-compose.yml')).not.toMatch(/nvidia\n|capabilities: \[gpu\]/)
    expect(parse(read('docker-compose.gpu.yml'))).toMatchObject({
      services: { ollama: { deploy: { resources: { reservations: { devices: [{ driver: 'nvidia' }] } } } } },
    })
  })
})

describe('the Dockerfile', () => {
  const file = read('Dockerfile')

  test('starts from the same Node as npm start, and installs with the same pnpm', () => {
    const major = /"node": "(\d+)\./.exec(read('package.json'))?.[1]
    expect(file).toContain(`FROM node:${major}-trixie-slim AS base`)
    const pnpm = /'(pnpm@[\d.]+)'/.exec(read('scripts/bootstrap.mjs'))?.[1]
    expect(file).toContain(`npx -y ${pnpm} install --prod --frozen-lockfile`)
  })

  test('ends as a user without rights', () => {
    const last = file.slice(file.lastIndexOf('\nFROM '))
    expect(last).toMatch(/\nUSER node\n/)
    expect(last).not.toMatch(/\nRUN /)
  })

  test('is given nothing but what it copies', () => {
    const ignored = read('.dockerignore').split('\n')
    expect(ignored.find((line) => line !== '' && !line.startsWith('#'))).toBe('*')
    expect(ignored).toEqual(expect.arrayContaining(['**/node_modules', '**/*.test.ts', '**/testing', '**/.env*']))
  })

  test.each(OWN)('copies every package of the workspace that %s runs on', (service) => {
    const { dependencies } = JSON.parse(read(`services/${service}/package.json`)) as { dependencies: object }
    const own = Object.keys(dependencies).flatMap((name) => /^@hearth\/(.+)/.exec(name)?.[1] ?? [])
    expect(own).toContain('shared')
    const ignored = read('.dockerignore').split('\n')
    for (const name of own) {
      expect(file).toContain(`\nCOPY packages/${name}/package.json packages/${name}/\n`)
      expect(file).toContain(`\nCOPY packages/${name} /app/packages/${name}\n`)
      expect(ignored).toContain(`!packages/${name}`)
    }
  })
})

describe('the dashboard', () => {
  test('asks only for metrics that the services have', () => {
    const sources = ['packages/shared/src/telemetry.ts', 'services/orchestrator/src/jobs/metrics.ts'].map(read).join('')
    const asked = read('deploy/compose/grafana/dashboards/hearth.json').match(/hearth_\w+/g) ?? []
    expect(asked.length).toBeGreaterThan(10)
    for (const name of asked) expect(sources).toContain(`'${name.replace(/_(bucket|count|sum)$/, '')}'`)
  })
})
