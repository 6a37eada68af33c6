/** The compose file without any settings: up, restarted, killed part by part, taken down and brought up again. */
import { GenerateReply } from '@hearth/shared/api'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { composeProject, docker, SERVICES } from '../compose.ts'
import type { Compose } from '../compose.ts'
import { measure, recording, transcriptOf } from '../spoken.ts'
import { untilTrue } from '../until-true.ts'
import { hubSettings } from './hub.ts'
import { lookAtJob, submitJob } from './jobs.ts'

/** Nothing else on this page or in the code says this. */
const NAME = 'Quirinus'
const SECRET_WORDS = [NAME, 'marmalade', 'birthday is in', 'kitchen light on', 'Okay, I will remember']

let stack: Compose

beforeAll(async () => {
  stack = await composeProject({ settings: await hubSettings() })
  await stack.up()
})
afterAll(() => stack?.remove())

async function generate(body: object | FormData): Promise<GenerateReply> {
  const request =
    body instanceof FormData
      ? { body }
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const answer = await fetch(`${stack.url}/generate`, { method: 'POST', ...request })
  expect(answer.status, await answer.clone().text()).toBe(200)
  return GenerateReply.parse(await answer.json())
}

/** What memory gave a turn, as its stream tells: whatever the language model makes of it. */
async function recalled(question: string): Promise<string> {
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' }
  const body = JSON.stringify({ text: question, remember: false })
  const stream = await (await fetch(`${stack.url}/generate`, { method: 'POST', headers, body })).text()
  return /^event: memory\ndata: (.*)$/m.exec(stream)?.[1] ?? ''
}

function spoken(name: string): FormData {
  const form = new FormData()
  form.set('file', recording(name))
  return form
}

const restarts = async (id: string): Promise<number> =>
  Number(await docker(['inspect', '--format', '{{.RestartCount}}', id]))

describe('a bare `docker compose up`', () => {
  test('publishes the orchestrator on loopback, and nothing else', async () => {
    const published = (await stack.containers()).flatMap(({ Service, Publishers }) =>
      (Publishers ?? []).filter((port) => port.PublishedPort > 0).map((port) => `${Service} ${port.URL}`),
    )
    expect(published).toEqual(['orchestrator 127.0.0.1'])
  })

  test('answers a spoken turn with a voice, by all of its parts', async () => {
    const turn = await generate(spoken('008.wav'))
    expect(wordErrorRate([[transcriptOf('008.wav'), turn.transcript]])).toBeLessThanOrEqual(0.25)
    expect(turn.degraded).toEqual([])
    expect(turn.models['llm']).toMatch(/^ollama\//)
    expect(measure(Buffer.from(turn.audio?.base64 ?? '', 'base64')).level).toBeGreaterThan(0.005)
  })

  test('runs jobs through the queue', async () => {
    const { id } = await submitJob(stack.url)
    await untilTrue(async () => (await lookAtJob(stack.url, id)).status === 'completed')
    expect((await lookAtJob(stack.url, id)).result?.text).not.toBe('')
  })
})

describe('after a restart of everything', () => {
  test('memory knows what it was told', async () => {
    await generate({ text: `My name is ${NAME}.` })
    await generate({ text: 'My favourite food is marmalade.' })
    await stack.run('restart')
    await stack.untilHealthy()
    expect(await recalled('What is my name?')).toContain(NAME)
  })

  test('a conversation goes on', async () => {
    const { session } = await generate({ text: 'Hello.' })
    await stack.run('restart', 'orchestrator')
    await stack.untilHealthy()
    expect((await fetch(`${stack.url}/sessions/${session}`)).status).toBe(200)
  })
})

describe('a container whose processes are killed', () => {
  test.each(SERVICES)('comes back by itself and serves: %s', async (service) => {
    const done = await submitJob(stack.url)
    await untilTrue(async () => (await lookAtJob(stack.url, done.id)).status === 'completed')
    const [container] = await stack.containers(service)
    const before = await restarts(container?.ID ?? '')
    // Everything but the init process, which ends with its child. The shell that kills may be told that it was killed.
    await stack.run('exec', '-T', service, 'sh', '-c', 'kill -9 -1').catch(() => {})
    await untilTrue(async () => (await restarts(container?.ID ?? '')) > before)
    await stack.untilHealthy()
    const turn = await generate(spoken('008.wav'))
    expect(turn.transcript).not.toBe('')
    await untilTrue(async () => (await generate({ text: 'What is my name?' })).degraded.length === 0)
    expect(await recalled('What is my name?')).toContain(NAME)
    // Redis had acknowledged it.
    expect((await lookAtJob(stack.url, done.id)).status).toBe('completed')
  })
})

describe('after `down` and `up`', () => {
  test('memory is there, and the language model is not fetched again', async () => {
    expect(await stack.run('logs', '--no-color', 'ollama-pull')).toContain('success')
    await stack.run('down')
    await stack.up()
    expect(await recalled('What is my name?')).toContain(NAME)
    expect(await stack.run('logs', '--no-color', 'ollama-pull')).toBe('')
  })
})

test('no log has what people said', async () => {
  await generate(spoken('008.wav'))
  await generate({ text: `My name is ${NAME}.` })
  const logs = await stack.run('logs', '--no-color')
  expect(logs).toContain('/generate')
  for (const words of SECRET_WORDS) expect(logs).not.toContain(words)
})
