/** What is remembered of people, and their control over it. */
import * as z from 'zod'
import { ChangeAsked, ListAsked, Owner, SearchAsked } from '../../memory-routes.ts'
import { JSON_ERRORS } from '../operation.ts'
import type { Theme } from '../operation.ts'
import { MemoriesFound, MemoryList, MemoryNote } from '../replies.ts'

const LINES = z.string().describe('A memory as JSON in each line.')
const AWAY = ['dependency_unavailable'] as const
const ONE = { id: 'The memory.' }

export const MEMORIES: Theme = {
  name: 'Memories',
  description:
    'What users said about themselves and is known in their next conversation. Each request is for one user; a memory of another one is 404 `memory_not_found`, like one that never was.',
  operations: [
    {
      method: 'get',
      path: '/memories',
      id: 'listMemories',
      summary: 'What is remembered of a user',
      query: ListAsked,
      replies: { 200: { description: 'A page.', content: { 'application/json': MemoryList } } },
      errors: ['invalid_request', ...AWAY],
      examples: [{ query: { limit: '20' } }],
    },
    {
      method: 'get',
      path: '/memories/search',
      id: 'searchMemories',
      summary: 'Memories by meaning',
      query: SearchAsked,
      replies: { 200: { description: 'The best first.', content: { 'application/json': MemoriesFound } } },
      errors: ['invalid_request', ...AWAY],
      examples: [{ query: { q: 'Who am I?' } }],
    },
    {
      method: 'get',
      path: '/memories/export',
      id: 'exportMemories',
      summary: 'All of them, to take away',
      query: Owner,
      replies: { 200: { description: 'Without their owner.', content: { 'application/x-ndjson': LINES } } },
      errors: ['invalid_request', ...AWAY],
      examples: [{ output: 'memories.jsonl' }],
    },
    {
      method: 'post',
      path: '/memories/import',
      id: 'importMemories',
      summary: 'Bring memories in',
      description:
        'Each line has a `text` at least. All or none of a file that has a bad line; the memories belong to the user of the request, whoever they were of.',
      query: Owner,
      body: { 'application/x-ndjson': LINES },
      replies: {
        200: { description: 'How many.', content: { 'application/json': z.object({ imported: z.number() }) } },
      },
      errors: [...JSON_ERRORS, 'batch_too_large', 'storage_full', ...AWAY],
      examples: [],
    },
    {
      method: 'get',
      path: '/memories/{id}',
      id: 'readMemory',
      summary: 'One memory',
      parameters: ONE,
      query: Owner,
      replies: { 200: { description: 'The memory.', content: { 'application/json': MemoryNote } } },
      errors: ['memory_not_found', ...AWAY],
      examples: [],
    },
    {
      method: 'patch',
      path: '/memories/{id}',
      id: 'changeMemory',
      summary: 'Change a memory',
      parameters: ONE,
      query: Owner,
      body: { 'application/json': ChangeAsked },
      replies: { 200: { description: 'The memory.', content: { 'application/json': MemoryNote } } },
      errors: [...JSON_ERRORS, 'memory_not_found', ...AWAY],
      examples: [],
    },
    {
      method: 'delete',
      path: '/memories/{id}',
      id: 'forgetMemory',
      summary: 'Forget one',
      parameters: ONE,
      query: Owner,
      replies: { 204: { description: 'It is gone.' } },
      errors: ['memory_not_found', ...AWAY],
      examples: [],
    },
    {
      method: 'delete',
      path: '/memories',
      id: 'forgetAll',
      summary: 'Forget all of a user',
      query: Owner,
      replies: {
        200: { description: 'How many.', content: { 'application/json': z.object({ forgotten: z.number() }) } },
      },
      errors: AWAY,
      examples: [{ query: { user: 'guest' } }],
    },
  ],
}
