import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { HubServer } from '@hearth/shared/testing/hub-server'
import { storeFixture, WEIGHTS } from '@hearth/shared/testing/store-fixture'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { pullModels } from './pull-models.ts'
import { createScreen } from './screen.ts'

const SCRIPT = join(import.meta.dirname, 'models.ts')
const FILE = 'onnx/model.onnx'
const SMALL = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
const COMMIT = 'c0ffee'.repeat(6) + 'c0ff'
const text = (content: string) => new TextEncoder().encode(content)

let hub: HubServer
let env: NodeJS.ProcessEnv
let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hearth-models-'))
  const small = SMALL.map((file) => [file, { content: text(`{"file":"${file}"}`) }] as const)
  hub = await new HubServer('openai/tiny', COMMIT, {
    ...Object.fromEntries(small),
    [FILE]: { content: WEIGHTS, isLarge: true },
  }).listen()
  const own = { HEARTH_HOME: home, HF_ENDPOINT: hub.endpoint, EMBEDDINGS_MODEL: 'openai/tiny', NO_COLOR: '1' }
  env = { PATH: process.env['PATH'], ...own }
  return async () => {
    hub.close()
    await rm(home, { recursive: true, force: true })
  }
})

const run = (...parameters: string[]) =>
  new Promise<{ code: number; output: string }>((done) => {
    const child = execFile(process.execPath, [SCRIPT, ...parameters], { env }, (_error, stdout, stderr) =>
      done({ code: child.exitCode ?? -1, output: stdout + stderr }),
    )
  })

const weights = () => join(home, 'hf-cache', 'hub', 'models--openai--tiny', 'snapshots', COMMIT, FILE)

describe('npm run models', () => {
  test('pull brings what is missing, tells how far it is in fourths, and the second time nothing is downloaded', async () => {
    const first = await run('pull', 'embeddings')
    expect(first.output.trim().split('\n').at(-1)).toBe(
      'embeddings  openai/tiny is there: 3.0 MB, 3.0 MB of them downloaded now',
    )
    expect(first.output).toMatch(/^embeddings {2}\[#+-*\] +\d+ % {2}/m)
    expect(first.code).toBe(0)
    expect(Buffer.compare(await readFile(weights()), WEIGHTS)).toBe(0)
    hub.requests.length = 0
    const second = await run('pull', 'embeddings')
    expect(second).toEqual({ code: 0, output: 'embeddings  openai/tiny was there: 3.0 MB\n' })
    expect(hub.requests).toEqual([])
  }, 30_000)

  test('pull finds what is damaged, and fetches that anew', async () => {
    await run('pull', 'embeddings')
    await writeFile(weights(), Buffer.from(WEIGHTS).fill(7, 500, 501))
    const listed = await run('list', 'embeddings')
    expect(listed).toMatchObject({ code: 1, output: expect.stringMatching(/embeddings +openai\/tiny +damaged/) })
    const { code, output } = await run('pull', 'embeddings')
    expect([code, output]).toEqual([0, expect.stringContaining(`${FILE} was damaged: fetched anew`)])
    expect(await run('list', 'embeddings')).toMatchObject({ code: 0, output: expect.stringContaining(' here ') })
  }, 30_000)

  test('pull that is stopped goes on where it was', async () => {
    hub.fail({ kind: 'slow', pieceBytes: 760_000 }, { method: 'GET', file: FILE })
    hub.release()
    const child = spawn(process.execPath, [SCRIPT, 'pull', 'embeddings'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      output += piece
      if (/2\d %/.test(piece)) child.kill('SIGINT')
    })
    expect(await once(child, 'close')).toEqual([130, null])
    expect(output).toContain('Stopped; the next time goes on from here.')
    hub.heal()
    expect((await run('pull', 'embeddings')).output).toMatch(/3\.0 MB, 2\.2 MB of them downloaded now/)
    const ranges = hub.requestsFor('GET', FILE).map(({ headers }) => headers.range)
    expect(ranges.at(-1)).toMatch(/^bytes=7[56]\d{4}-$/)
  }, 30_000)

  test('pull fails when a model can’t be had, without a word of a stand-in', async () => {
    hub.close()
    const { code, output } = await run('pull', 'embeddings')
    expect(code).toBe(1)
    expect(output).toMatch(/openai\/tiny can't be had: 127\.0\.0\.1:\d+ can't be reached/)
    expect(output).not.toContain('demo')
  }, 30_000)

  test('what is not understood is answered with the usage and exit status 2', async () => {
    expect(await run('fetch')).toMatchObject({ code: 2, output: expect.stringMatching(/^usage: npm run models pull/) })
    expect(await run('pull', 'whisper')).toMatchObject({
      code: 2,
      output: expect.stringMatching(/^no model is called whisper/),
    })
  }, 30_000)
})

test('a model without which all goes on is listed and fetched like the others, and counts when it is named', async () => {
  const turnHub = await new HubServer('org/turn', COMMIT, { 'smart-turn-v3.2-cpu.onnx': { content: WEIGHTS } }).listen()
  onTestFinished(() => turnHub.close())
  env = { ...env, HF_ENDPOINT: turnHub.endpoint, TURN_MODEL: 'org/turn' }
  const here = await run('list')
  expect(here).toMatchObject({ code: 1, output: expect.stringMatching(/turn +org\/turn +not here \(optional\)/) })
  expect(await run('list', 'turn')).toMatchObject({ code: 1, output: expect.stringContaining(' not here ') })
  expect(await run('pull', 'turn')).toMatchObject({
    code: 0,
    output: expect.stringContaining('org/turn is there: 3.0 MB'),
  })
  expect(await run('list', 'turn')).toMatchObject({ code: 0, output: expect.stringContaining(' here ') })
}, 30_000)

test('one without which all goes on is no failure', async () => {
  const { spec, options, hub: away } = await storeFixture()
  away.close()
  const lines: string[] = []
  const screen = { isTerminal: false, line: (told: string) => void lines.push(told), status: () => undefined }
  const { signal } = new AbortController()
  const turn = { name: 'turn', spec, store: options } as const
  expect(await pullModels([{ ...turn, isOptional: true }], screen, signal)).toBe(0)
  expect(lines).toEqual([expect.stringMatching(/^turn {2}openai\/tiny can't be had, and Hearth goes on without it: /)])
  expect(await pullModels([turn], screen, signal)).toBe(1)
})

test('on a terminal each download has a bar that is drawn anew, and nothing is left of it', async () => {
  const { spec, options } = await storeFixture()
  let written = ''
  const write = (piece: string | Uint8Array) => {
    written += String(piece)
    return true
  }
  let time = 0
  const screen = createScreen({ write, isTTY: true, columns: 100 })
  const failures = await pullModels(
    [{ name: 'stt', spec, store: options }],
    screen,
    new AbortController().signal,
    () => time++,
  )
  expect(failures).toBe(0)
  expect(written).toContain('\r\u001B[2Kstt  [##')
  expect(stripVTControlCharacters(written)).toMatch(
    /stt {2}\[#+-+\] +\d+ % {2}[\d.]+ MB of 3\.0 MB {2}[\d.]+ [kMG]B\/s {2}\d+ s left/,
  )
  expect(written.trimEnd().endsWith('stt  openai/tiny is there: 3.0 MB, 3.0 MB of them downloaded now')).toBe(true)
})
