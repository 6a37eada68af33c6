import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { ModelStatus } from '@hearth/shared/api'
import { idleStatus } from '@hearth/shared/model-status'
import { startPlainServer } from '../testing/plain-server.ts'
import { ModelWatch } from './model-watch.ts'

const ready = (id: string): ModelStatus => ({ ...idleStatus(id), state: 'ready' })
const loading = (id: string): ModelStatus => ({ ...idleStatus(id), state: 'loading' })

describe('who follows the models', () => {
  test('is told at once, and of each change until all are ready', async () => {
    const ear = Promise.withResolvers<void>()
    let heard = loading('ear')
    const service = await startPlainServer((_request, response) => {
      const ok = heard.state === 'ready'
      response.writeHead(ok ? 200 : 503).end(JSON.stringify({ service: 'stt', ready: ok, models: [heard] }))
    })
    const watch = new ModelWatch({ models: () => [ready('mind')], services: [service.url], everyMs: 1 })
    const told: string[][] = []
    watch.follow((models) => {
      told.push(models.map(({ id, state }) => `${id} ${state}`))
      if (told.length === 1) heard = ready('ear')
      else ear.resolve()
    }, new AbortController().signal)
    await ear.promise
    await service.close()
    expect(told).toEqual([
      ['mind ready', 'ear loading'],
      ['mind ready', 'ear ready'],
    ])
  })

  test('does not wait for models that are optional, and learns of services that are away', async () => {
    const watch = new ModelWatch({
      models: () => [{ ...loading('turn'), optional: true }],
      services: ['http://127.0.0.1:1'],
      everyMs: 1,
    })
    const leaving = new AbortController()
    const told = await new Promise<readonly ModelStatus[]>((hear) => watch.follow(hear, leaving.signal))
    leaving.abort()
    expect(told).toMatchObject([{ id: 'turn' }, { id: '127.0.0.1:1', state: 'idle' }])
    const optional = new ModelWatch({
      models: () => [{ ...loading('turn'), optional: true }],
      services: [],
      everyMs: 1,
    })
    let count = 0
    optional.follow(() => count++, new AbortController().signal)
    await pause(0)
    expect(count).toBe(1)
  })
})
