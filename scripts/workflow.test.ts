/** The public CI: what it may run and what it may touch. */
import { parse } from 'yaml'
import * as z from 'zod'
import { expect, test } from 'vitest'
import { read } from './compose-file.ts'

const Job = z.looseObject({
  'timeout-minutes': z.number(),
  permissions: z.record(z.string(), z.string()).optional(),
  steps: z.array(z.looseObject({ uses: z.string().optional(), run: z.string().optional() })),
})
const Workflow = z.looseObject({ permissions: z.record(z.string(), z.string()), jobs: z.record(z.string(), Job) })

const workflow = Workflow.parse(parse(read('.github/workflows/ci.yml')))
const steps = Object.values(workflow.jobs).flatMap((job) => job.steps)

test('runs actions by their commit only', () => {
  const used = steps.flatMap(({ uses }) => uses ?? [])
  expect(used.length).toBeGreaterThan(5)
  for (const action of used) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/)
})

test('may read, and write packages in one job', () => {
  expect(workflow.permissions).toEqual({ contents: 'read' })
  const more = Object.entries(workflow.jobs).filter(([, { permissions }]) => permissions)
  expect(more.map(([name, { permissions }]) => [name, permissions])).toEqual([
    ['images', { contents: 'read', packages: 'write' }],
  ])
})

test('runs only scripts that there are', () => {
  const scripts = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('package.json'))).scripts
  const names = steps.flatMap(({ run }) => /^npm (?:run )?([\w:]+)/.exec(run ?? '')?.[1] ?? [])
  expect(names).toEqual(['test', 'test:compose'])
  for (const name of names) expect(scripts).toHaveProperty([name])
})
