import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Check, Verdict } from '@hearth/shared/doctor'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { readOrchestratorConfig } from '../config.ts'
import { sendJson, startStub, type Answer } from '../testing/http-stub.ts'
import { freePort, startRedis, type RedisServer } from '../testing/redis-server.ts'
import { hasOllama, languageModelChecks } from './language-model-checks.ts'
import { judgeNode, machineChecks } from './machine-checks.ts'
import { checkRedis } from './redis-check.ts'
import { storeChecks } from './store-checks.ts'

const live = () => AbortSignal.timeout(10_000)
const run = async (checks: readonly Check[], name: string): Promise<Verdict> => {
  const found = checks.find((check) => check.name === name)
  if (!found) throw new Error(`expected a check ${name}`)
  return found.run(live())
}

async function stub(answer: Answer): Promise<string> {
  const server = await startStub(answer)
  onTestFinished(() => server.close())
  return server.url
}

describe('Redis', () => {
  let redis: RedisServer
  let client: Redis
  beforeAll(async () => {
    redis = await startRedis()
    client = new Redis(redis.url)
  })
  afterAll(async () => {
    client.disconnect()
    await redis.stop()
  })
  const set = (name: string, value: string) => client.config('SET', name, value)

  test('that keeps what it is given and never forgets is well', async () => {
    await set('appendonly', 'yes')
    await set('maxmemory-policy', 'noeviction')
    const { status, detail } = await checkRedis(redis.url, live())
    expect([status, detail]).toEqual([
      'ok',
      expect.stringMatching(/^Redis \d+\.\d+\S* at 127\.0\.0\.1:\d+: append-only file, noeviction/),
    ])
    await set('appendonly', 'no')
  })

  test('that forgets when it is full fails, with the command that changes that', async () => {
    await set('maxmemory-policy', 'allkeys-lru')
    expect(await checkRedis(redis.url, live())).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('maxmemory-policy allkeys-lru'),
      remedy: expect.stringContaining('CONFIG SET maxmemory-policy noeviction'),
    })
    await set('maxmemory-policy', 'noeviction')
  })

  test('without persistence, or nearly full, is a warning', async () => {
    expect(await checkRedis(redis.url, live())).toMatchObject({
      status: 'warning',
      remedy: expect.stringMatching(/appendonly yes/),
    })
    await set('maxmemory', '1kb')
    expect(await checkRedis(redis.url, live())).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/nearly full/),
    })
    await set('maxmemory', '0')
  })

  test('that asks for a password says so, and never which one was tried', async () => {
    await set('requirepass', 'right-password')
    onTestFinished(async () => void (await client.config('SET', 'requirepass', '')))
    const wrong = redis.url.replace('//', '//:wrong-password@')
    const verdicts = [await checkRedis(wrong, live()), await checkRedis(redis.url, live())]
    expect(verdicts).toMatchObject([
      {
        status: 'failed',
        detail: expect.stringMatching(/refuses \(WRONGPASS\)/),
        remedy: expect.stringMatching(/REDIS_URL/),
      },
      { status: 'failed', detail: expect.stringMatching(/refuses \(NOAUTH\)/) },
    ])
    expect(JSON.stringify(verdicts)).not.toMatch(/(?:right|wrong)-password/)
  })

  test('that is away fails within its limit, and no setting means no check', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`
    expect(await checkRedis(url, live())).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/does not answer/),
    })
    expect(await checkRedis(undefined, live())).toMatchObject({ status: 'skipped' })
  })
})

describe('the language models', () => {
  const configOf = (env: Record<string, string>) => readOrchestratorConfig({ OLLAMA_MODEL: 'llama3.2:3b', ...env })
  const tags =
    (...names: string[]): Answer =>
    (response, { path }) =>
      path === '/api/tags'
        ? sendJson(response, { models: names.map((name) => ({ name })) })
        : sendJson(response, {}, 404)

  test('Ollama with its models is well', async () => {
    const url = await stub(tags('llama3.2:3b', 'nomic-embed-text:latest'))
    const config = configOf({ OLLAMA_URL: url, OLLAMA_EMBEDDING_MODEL: 'nomic-embed-text' })
    expect(await run(languageModelChecks(config), 'ollama')).toMatchObject({ status: 'ok' })
    expect(await hasOllama(config, live())).toBe(true)
  })

  test('a model that is not pulled is named with the command that pulls it', async () => {
    const config = configOf({ OLLAMA_URL: await stub(tags('other:1b')) })
    expect(await run(languageModelChecks(config), 'ollama')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('has not pulled llama3.2:3b'),
      remedy: 'ollama pull llama3.2:3b',
    })
    expect(await hasOllama(config, live())).toBe(false)
  })

  test('Ollama that is away is a failure only where nobody else answers', async () => {
    const OLLAMA_URL = `http://user:secret@127.0.0.1:${await freePort()}`
    const check = (chain: string) => run(languageModelChecks(configOf({ OLLAMA_URL, LLM_CHAIN: chain })), 'ollama')
    expect((await check('ollama,embedded')).status).toBe('warning')
    const alone = await check('ollama')
    expect(alone).toMatchObject({ status: 'failed', remedy: expect.stringMatching(/ollama serve/) })
    expect(JSON.stringify(alone)).not.toContain('secret')
    expect((await check('embedded')).status).toBe('skipped')
  })

  test('another program at Ollama’s address is not taken for it', async () => {
    const config = configOf({ OLLAMA_URL: await stub((response) => response.end('<html>')) })
    expect((await run(languageModelChecks(config), 'ollama')).status).toBe('warning')
  })

  test('a server at LLM_URL answers, refuses the key, or is away', async () => {
    const statuses = [200, 401, 500]
    const url = await stub((response, _asked, { headers }) =>
      sendJson(response, {}, headers.authorization === 'Bearer my-key' ? statuses.shift() : 418),
    )
    const at = (address: string) => configOf({ LLM_URL: address, LLM_MODEL: 'm', LLM_API_KEY: 'my-key' })
    const check = (address: string) => run(languageModelChecks(at(address)), 'language model server')
    expect(await check(`${url}/v1`)).toMatchObject({ status: 'ok' })
    expect(await check(`${url}/v1`)).toMatchObject({ status: 'warning', remedy: 'correct LLM_API_KEY' })
    expect(await check(`${url}/v1`)).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/ answers 500 to \/v1\/models$/),
    })
    expect(await check(`http://127.0.0.1:${await freePort()}/v1`)).toMatchObject({
      detail: expect.stringMatching(/does not answer/),
    })
    expect((await run(languageModelChecks(configOf({})), 'language model server')).status).toBe('skipped')
  })
})

describe('what keeps the memories', () => {
  const folder = async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-doctor-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    return dir
  }
  const home = (dir: string) => run(storeChecks(readOrchestratorConfig({ HEARTH_HOME: dir })), 'data folder')

  test('a folder that can be written, or be made, is well', async () => {
    const dir = await folder()
    expect(await home(dir)).toMatchObject({
      status: expect.stringMatching(/ok|warning/),
      detail: expect.stringMatching(/ can be written, /),
    })
    expect((await home(join(dir, 'not', 'there'))).detail).toContain('can be written')
  })

  test('a folder that can not be written fails with the reason and what to do', async (context) => {
    const dir = await folder()
    if (process.getuid?.() === 0) {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', dir], { stdio: 'ignore' })
      } catch {
        context.skip('no disk can be mounted here')
      }
      onTestFinished(() => void execFileSync('umount', [dir]))
    } else await chmod(dir, 0o500)
    expect(await home(dir)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/can't be written \(E\w+\)$/),
      remedy: expect.stringMatching(/HEARTH_HOME/),
    })
  })

  test('a file where the folder should be fails too', async () => {
    const path = join(await folder(), 'file')
    await writeFile(path, '')
    expect(await home(path)).toMatchObject({ status: 'failed', detail: expect.stringMatching(/ENOTDIR/) })
  })

  test('Chroma tells its version, or is away', async () => {
    const check = (env: Record<string, string>) => run(storeChecks(readOrchestratorConfig(env)), 'chroma')
    const url = await stub((response) => sendJson(response, '1.5.9'))
    expect(await check({ CHROMA_URL: url })).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^Chroma 1\.5\.9 at /),
    })
    const nowhere = `http://127.0.0.1:${await freePort()}`
    expect(await check({ CHROMA_URL: nowhere })).toMatchObject({
      status: 'failed',
      remedy: expect.stringMatching(/CHROMA_URL/),
    })
    expect((await check({})).status).toBe('skipped')
  })
})

describe('the machine', () => {
  test('needs a Node that runs TypeScript', () => {
    const statuses = ['20.20.2', '22.17.9', '22.18.0', '24.21.0'].map((version) => judgeNode(version).status)
    expect(statuses).toEqual(['failed', 'failed', 'ok', 'ok'])
  })

  test('may have a GPU, by its name where nvidia-smi knows it, or none', async () => {
    expect((await run(machineChecks, 'gpu')).status).toMatch(/ok|skipped/)
    const dir = await mkdtemp(join(tmpdir(), 'hearth-gpu-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    await writeFile(join(dir, 'nvidia-smi'), '#!/bin/sh\necho "NVIDIA H200, 143771 MiB"\n', { mode: 0o755 })
    vi.stubEnv('PATH', dir)
    expect(await run(machineChecks, 'gpu')).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^NVIDIA H200, 143771 MiB: Ollama/),
    })
  })
})
