import { expect, test } from 'vitest'
import { stackPorts } from './ports.ts'
import { ALLOCATOR, stackEnvironment } from './stack.ts'

const plan = { root: '/hearth', home: '/data', ports: stackPorts('9000') }

test('every service gets its port and the orchestrator finds the others', () => {
  expect(stackEnvironment(plan, { PATH: '/bin', STT_PORT: '1', STT_URL: 'http://elsewhere' })).toEqual({
    ...ALLOCATOR,
    PATH: '/bin',
    HEARTH_HOME: '/data',
    HF_HOME: '/data/hf-cache',
    NODE_COMPILE_CACHE: '/data/compile-cache',
    ORCHESTRATOR_PORT: '9000',
    STT_PORT: '9001',
    TTS_PORT: '9002',
    EMBEDDINGS_PORT: '9003',
    STT_URL: 'http://127.0.0.1:9001',
    TTS_URL: 'http://127.0.0.1:9002',
    EMBEDDINGS_URL: 'http://127.0.0.1:9003',
    REDIS_URL: 'redis://127.0.0.1:9004',
  })
})

test('a Hugging Face cache that the user has is used', () => {
  expect(stackEnvironment(plan, { HF_HOME: '/mine' })['HF_HOME']).toBe('/mine')
})
