/**
 * The stack without any network but loopback: on a full cache everything works as if there were one, and on an empty one the demo models do,
 * and say so. A namespace of the kernel cuts the network; where the machine forbids those, nothing is shown here, and that is said loudly.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { GenerateReply, ReadyReport } from '@hearth/shared/api'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SERVICES } from '../scripts/stack.ts'
import { fillCache, realModel, realTurnModel } from './filled-cache.ts'
import { measure, transcriptOf } from './spoken.ts'

export type Seen = {
  readonly interfaces: readonly string[]
  readonly turn: GenerateReply
  readonly reports: readonly ReadyReport[]
  /** Requests that reached the hub. */
  readonly asked: readonly string[]
  readonly output: string
}

const LIMIT_MS = 170_000
/** A network and process ids of its own: when the first process ends, so does everything that it left. */
const ALONE = ['-rnpf', '--kill-child', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
const trial = spawnSync('unshare', [...ALONE, 'true'], { encoding: 'utf8' })
const problem = trial.status === 0 ? '' : (trial.error?.message ?? trial.stderr)
if (problem !== '')
  console.error(`\n!!! NOT SHOWN: that Hearth works offline. The network can't be cut here: ${problem}\n`)

test.runIf(process.env['CI'])('in a CI the network can be cut', () => {
  expect(problem).toBe('')
})

async function driveOffline(home: string, ...parameters: string[]): Promise<Seen> {
  const program = [process.execPath, join(import.meta.dirname, 'offline-drive.ts'), home, ...parameters]
  const options = { timeout: LIMIT_MS, maxBuffer: 2 ** 26, killSignal: 'SIGKILL' } as const
  const { stdout } = await promisify(execFile)('unshare', [...ALONE, ...program], options)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Seen
}

async function hfHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'hearth-offline-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return home
}

function expectSpokenTurn({ turn, interfaces }: Seen): void {
  expect(interfaces).toEqual(['lo'])
  expect(wordErrorRate([[transcriptOf('016.wav'), turn.transcript]])).toBeLessThanOrEqual(0.25)
  expect(turn.reply).not.toBe('')
  expect(turn.degraded).toEqual([])
  expect(measure(Buffer.from(turn.audio?.base64 ?? '', 'base64')).seconds).toBeGreaterThan(0.3)
}

/** All but what comes in a package. */
const fromHub = ({ reports }: Seen) =>
  reports.flatMap(({ models }) => models.filter(({ source }) => source !== 'local'))

describe.skipIf(problem !== '')('without a network', { timeout: LIMIT_MS }, () => {
  test('a full cache serves everything, and nobody asks for the hub', async () => {
    const home = await hfHome()
    const [chat, ...others] = await Promise.all(SERVICES.map(realModel))
    const models = [chat, await realTurnModel(), ...others].filter((model) => model !== undefined)
    for (const model of models) await fillCache(join(home, 'hub'), model)
    const seen = await driveOffline(home)
    expectSpokenTurn(seen)
    expect(seen.asked).toEqual([])
    expect(fromHub(seen)).toEqual(
      models.map(({ id }) => expect.objectContaining({ id, source: 'cache', state: 'ready', warning: null })),
    )
    const [llm, , stt, tts, embeddings] = models.map(({ id }) => id)
    expect(seen.turn.models).toMatchObject({ stt, embeddings, llm, tts })
    expect(seen.output).not.toContain('demo')
  })

  test('an empty cache is served by the demo models, which say so everywhere', async () => {
    const seen = await driveOffline(await hfHome(), '--away')
    expectSpokenTurn(seen)
    const demos = ['demo/chat', 'demo/turn', 'demo/whisper', 'demo/kokoro', 'demo/minilm']
    expect(fromHub(seen)).toEqual(
      demos.map((id) =>
        expect.objectContaining({
          id,
          source: 'demo',
          state: 'ready',
          warning: expect.stringMatching(/huggingface\.co can't be reached.*stand-in/),
        }),
      ),
    )
    expect(seen.turn.models).toMatchObject({ llm: demos[0], stt: demos[2], tts: demos[3], embeddings: demos[4] })
    for (const service of ['stt', 'tts', 'embeddings'])
      expect(seen.output).toMatch(
        new RegExp(`^${service} +\\| warn huggingface\\.co can't be reached .*using demo/`, 'm'),
      )
    expect(seen.output).toContain('run their small demo model: the hub was not asked or not reached')
  })
})
