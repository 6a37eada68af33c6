import { describe, expect, test } from 'vitest'
import { readOrchestratorConfig, uploadLimit } from './config.ts'

test('without settings it is the stack on this machine', () => {
  const config = readOrchestratorConfig({})
  expect(config.orchestrator).toMatchObject({ host: '127.0.0.1', port: 8080, maxTextChars: 8000 })
  expect([config.stt.url, config.tts.url, config.embeddings.url, config.ollama.url]).toEqual(
    [8081, 8082, 8083, 11_434].map((port) => `http://127.0.0.1:${port}`),
  )
  expect(config.memory.budgetMs).toBe(300)
  expect(config.hearth.home).toMatch(/volumes$/)
})

test('reads the names that people know', () => {
  const config = readOrchestratorConfig({
    OLLAMA_URL: 'http://ollama:11434/',
    OLLAMA_MODEL: 'qwen3:8b',
    MEMORY_BUDGET_MS: '50',
    HEARTH_HOME: '/data',
    CHAT_MODEL: 'someone/other',
    HF_TOKEN: 'hf_secret',
  })
  expect(config).toMatchObject({
    ollama: { url: 'http://ollama:11434', model: 'qwen3:8b' },
    memory: { budgetMs: 50 },
    hearth: { home: '/data' },
    chat: { model: 'someone/other' },
  })
  expect(String(config.hf.token)).toBe('[redacted]')
})

test('tells of every setting that can not be used at once', () => {
  expect(() => readOrchestratorConfig({ STT_URL: 'nowhere', MEMORY_THRESHOLD: '7' })).toThrow(
    /STT_URL(?:.|\n)*MEMORY_THRESHOLD/,
  )
})

test('uploads may be as large as the stt service takes them, and larger when set', () => {
  expect(uploadLimit(readOrchestratorConfig({}))).toBe(2 ** 26)
  expect(uploadLimit(readOrchestratorConfig({ STT_MAX_UPLOAD_BYTES: '99999999' }))).toBe(99_999_999)
  expect(uploadLimit(readOrchestratorConfig({ ORCHESTRATOR_MAX_UPLOAD_BYTES: '99999999' }))).toBe(99_999_999)
})

describe('the language models', () => {
  test('are asked in the order of LLM_CHAIN', () => {
    expect(readOrchestratorConfig({}).llm.chain).toEqual(['openai', 'ollama', 'embedded'])
    expect(readOrchestratorConfig({ LLM_CHAIN: 'embedded, ollama' }).llm.chain).toEqual(['embedded', 'ollama'])
  })

  test.each([
    { LLM_CHAIN: 'ollama,gpt' },
    { LLM_CHAIN: ',' },
    { LLM_URL: 'http://llm/v1' },
    { LLM_MODEL: 'm' },
    { LLM_TOOLS: 'true', LLM_CACHE_SECONDS: '60' },
  ])('are refused with %j', (env) => {
    expect(() => readOrchestratorConfig(env)).toThrow(/LLM_/)
  })

  test('keep their key to themselves', () => {
    const { llm } = readOrchestratorConfig({ LLM_URL: 'http://llm/v1/', LLM_MODEL: 'm', LLM_API_KEY: 'sk-1' })
    expect([llm.url, String(llm.apiKey), llm.apiKey?.reveal()]).toEqual(['http://llm/v1', '[redacted]', 'sk-1'])
  })
})

test('there is a job queue only where a Redis is named', () => {
  expect(readOrchestratorConfig({}).redis.url).toBeUndefined()
  const env = {
    REDIS_URL: 'redis://redis:6379',
    STT_URLS: 'http://one:8081, http://two:8081/',
    QUEUE_DASHBOARD: 'true',
  }
  expect(readOrchestratorConfig(env)).toMatchObject({
    redis: { url: 'redis://redis:6379' },
    stt: { urls: ['http://one:8081', 'http://two:8081'] },
    queue: { dashboard: true },
  })
  expect(() => readOrchestratorConfig({ REDIS_URL: 'http://redis' })).toThrow(/REDIS_URL: expected redis:/)
})

test('there are no webhooks until their hosts and a secret are named', () => {
  expect(readOrchestratorConfig({}).jobs.webhookHosts).toEqual([])
  const { jobs, webhook } = readOrchestratorConfig({
    JOBS_WEBHOOK_HOSTS: 'hooks.example.com, inside:9000',
    WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  })
  expect([jobs.webhookHosts, String(webhook.secret)]).toEqual([['hooks.example.com', 'inside:9000'], '[redacted]'])
})
