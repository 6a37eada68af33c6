/** A model service whose cache has a damaged file: the file is fetched anew and the service serves; without a hub the demo model does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ModelStatus, ReadyReport } from '@hearth/shared/api'
import { HubServer } from '@hearth/shared/testing/hub-server'
import { describe, expect, onTestFinished, test } from 'vitest'
import { commitOf, fillCache, realModel, snapshotOf } from './filled-cache.ts'
import type { RealModel } from './filled-cache.ts'
import { freePorts, inCompose, ROOT, untilTrue } from './stack.ts'

type Service = 'stt' | 'tts' | 'embeddings'

async function startHub(model: RealModel): Promise<HubServer> {
  const contents = [...model.files].map(async ([name, path]) => [name, { content: await readFile(path) }] as const)
  const hub = await new HubServer(model.id, commitOf(model), Object.fromEntries(await Promise.all(contents))).listen()
  onTestFinished(() => hub.close())
  return hub
}

/** Starts one service on the cache and gives what it says of its model once that is ready and from `source`. */
async function readyFrom(source: string, service: Service, home: string, endpoint: string): Promise<ModelStatus> {
  const port = (await freePorts())[service]
  const settings = {
    HEARTH_HOME: home,
    HF_HOME: home,
    HF_ENDPOINT: endpoint,
    [`${service.toUpperCase()}_PORT`]: `${port}`,
  }
  const cwd = join(ROOT, 'services', service)
  const child = spawn(process.execPath, ['src/main.ts'], { cwd, env: { ...process.env, ...settings }, stdio: 'ignore' })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill()
    await ended
  })
  let model: ModelStatus | undefined
  await untilTrue(async () => {
    expect(child.signalCode, 'a damaged file is no reason to end').toBe(null)
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null)
    // Speech is ready before, with eSpeak NG as its stand-in.
    if (answer?.ok === true) model = ReadyReport.parse(await answer.json()).models.find((one) => one.source === source)
    return model !== undefined
  })
  return ModelStatus.parse(model)
}

async function damagedHome(model: RealModel, file: string, damage: (path: string) => Promise<void>): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'hearth-damaged-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  await fillCache(join(home, 'hub'), model)
  await damage(join(snapshotOf(join(home, 'hub'), model), file))
  return home
}

const cut = (path: string) => truncate(path, 1000)
const garble = async (path: string) =>
  writeFile(
    path,
    (await readFile(path)).map((byte) => byte ^ 0x55),
  )

describe.skipIf(inCompose)('a damaged file', () => {
  test.for([
    ['stt', 'onnx/encoder_model.onnx', 'garbled', garble],
    ['stt', 'tokenizer.json', 'cut', cut],
    ['tts', 'onnx/model.onnx', 'cut', cut],
    ['tts', 'tokenizer.json', 'garbled', garble],
    ['embeddings', 'onnx/model.onnx', 'cut', cut],
    ['embeddings', 'tokenizer.json', 'cut', cut],
  ] as const)('of %s, %s %s, is fetched anew, and only that', async ([service, file, , damage]) => {
    const model = await realModel(service)
    const home = await damagedHome(model, file, damage)
    const hub = await startHub(model)
    const status = await readyFrom('hub', service, home, hub.endpoint)
    expect(status).toMatchObject({ id: model.id, state: 'ready', warning: null, error: null })
    const fetched = hub.requests.filter(({ method }) => method === 'GET').map(({ path }) => path)
    expect(fetched).toEqual([expect.stringMatching(new RegExp(`/${file}$`))])
    expect(await readFile(join(snapshotOf(join(home, 'hub'), model), file))).toEqual(
      await readFile(model.files.get(file) ?? ''),
    )
  })

  test('without a hub leaves the demo model, which says so', async () => {
    const model = await realModel('embeddings')
    const home = await damagedHome(model, 'onnx/model.onnx', cut)
    const closed = `http://127.0.0.1:${(await freePorts()).redis}`
    const status = await readyFrom('demo', 'embeddings', home, closed)
    expect(status).toMatchObject({ id: 'demo/minilm', warning: expect.stringMatching(/can't be reached/) })
  })
})
