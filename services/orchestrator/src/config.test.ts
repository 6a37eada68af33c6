import { expect, test } from 'vitest'
import { readOrchestratorConfig } from './config.ts'

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
