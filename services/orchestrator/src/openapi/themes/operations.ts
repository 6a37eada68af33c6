/** For whoever runs Hearth: probes, metrics, and this description itself. */
import { DoctorReport, StackReport } from '@hearth/shared/api'
import * as z from 'zod'
import type { Theme } from '../operation.ts'
import { Health, Welcome } from '../replies.ts'

export const OPERATIONS: Theme = {
  name: 'Operations',
  description: 'Every service has the probes and the metrics, on its own port.',
  operations: [
    {
      method: 'get',
      path: '/health',
      id: 'health',
      summary: 'Whether the process lives',
      replies: { 200: { description: 'It does.', content: { 'application/json': Health } } },
      errors: [],
      isOpen: true,
      examples: [{}],
    },
    {
      method: 'get',
      path: '/ready',
      id: 'ready',
      summary: 'Whether every model is warm',
      description:
        'With `verbose` also what each model’s start took (bytes, seconds of download, load and warm-up, memory before and after), earlier starts, and the same of the other services.',
      query: z.object({ verbose: z.string().optional().describe('Any value, or none: `?verbose`.') }),
      replies: {
        200: {
          description: 'All are, or are to come with the first request.',
          content: { 'application/json': StackReport },
        },
        503: { description: 'Not yet, or no more: the same body.', content: { 'application/json': StackReport } },
      },
      errors: [],
      isOpen: true,
      examples: [{}, { title: 'The whole stack, and what its start took', query: { verbose: '1' } }],
    },
    {
      method: 'get',
      path: '/doctor',
      id: 'doctor',
      summary: 'What is not as it should be, and what to do about it',
      description:
        'Looks at folders, disk space, the files of the models, the hub when some are missing, Ollama, Redis, Chroma, memory, the GPU, Node, and at whether the last start was slower than those before it and why. Each check has a few seconds; the answer is 200 whatever they find, and kept for five seconds. `npm run doctor` shows the same on a terminal.',
      replies: { 200: { description: 'The findings.', content: { 'application/json': DoctorReport } } },
      errors: [],
      examples: [{}],
    },
    {
      method: 'get',
      path: '/metrics',
      id: 'metrics',
      summary: 'Counters and histograms',
      replies: {
        200: {
          description: 'All of them.',
          content: { 'text/plain': z.string().describe('Prometheus’ exposition format.') },
        },
      },
      errors: [],
      examples: [{}],
    },
    {
      method: 'get',
      path: '/',
      id: 'welcome',
      summary: 'Who is here, or the page',
      description:
        'A browser, which asks for HTML, gets the page to talk with. It needs no key to load: the page asks its reader for it.',
      replies: {
        200: {
          description: 'Name, version and addresses.',
          content: { 'application/json': Welcome, 'text/html': z.string().describe('The page.') },
        },
      },
      errors: [],
      isOpen: true,
      examples: [{}],
    },
    {
      method: 'get',
      path: '/web/{version}/{file}',
      id: 'pageFile',
      summary: 'A file of the page',
      parameters: { version: 'Of all the files together; the page knows it.', file: 'Its name.' },
      replies: { 200: { description: 'For good: another version has another address.' } },
      errors: ['not_found'],
      isOpen: true,
      examples: [],
    },
    {
      method: 'get',
      path: '/openapi.json',
      id: 'openapi',
      summary: 'This description, for programs (OpenAPI 3.1)',
      replies: {
        200: { description: 'The document.', content: { 'application/json': z.looseObject({ openapi: z.string() }) } },
      },
      errors: [],
      examples: [{ output: 'openapi.json' }],
    },
    {
      method: 'get',
      path: '/docs',
      id: 'docs',
      summary: 'This description, for people',
      description:
        'One page without scripts that needs nothing else, so it can be kept: a browser can’t send the API key by itself, but whoever has the key can save the page.',
      replies: { 200: { description: 'The reference.', content: { 'text/html': z.string().describe('The page.') } } },
      errors: [],
      examples: [{ output: 'hearth-api.html' }],
    },
  ],
}
