import { createLogger } from '@hearth/shared/telemetry'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readOrchestratorConfig } from '../config.ts'
import { startStub } from '../testing/http-stub.ts'
import { NO_CHAT } from '../testing/no-chat.ts'
import { createLanguageModels } from './language-models.ts'
import { Timers } from './timers.ts'
import { builtInTools, runTool } from './tools.ts'

function setUp() {
  let ms = Date.UTC(2026, 1, 3, 12)
  const timers = new Timers(() => new Date(ms))
  const tools = builtInTools(timers)
  const act = (args: object, session: string | undefined = 'a') =>
    runTool(tools, { id: 'x', name: 'timer', args: JSON.stringify(args) }, session)
  return { timers, act, advance: (seconds: number) => (ms += seconds * 1000) }
}

describe('a timer', () => {
  test('is set, listed and cancelled', () => {
    const { act, advance } = setUp()
    expect(act({ action: 'set', seconds: 300, label: 'tea' })).toMatch(/^Timer 1 "tea" rings at .*, in 300 seconds\.$/)
    act({ action: 'set', seconds: 60 })
    advance(10)
    expect(act({ action: 'list' }).split('\n')).toEqual([
      expect.stringMatching(/^Timer 1 "tea" .* in 290 seconds/),
      expect.stringMatching(/^Timer 2 rings .* in 50 seconds/),
    ])
    expect(act({ action: 'cancel', id: 1 })).toBe('It is cancelled.')
    expect(act({ action: 'list' })).toMatch(/^Timer 2/)
    expect(act({ action: 'cancel', id: 1 })).toMatch(/^error: /)
  })

  test('that rang is told until it is forgotten, and only in its session', () => {
    const { timers, act, advance } = setUp()
    act({ action: 'set', seconds: 300, label: 'tea' })
    advance(299)
    expect(timers.rung('a').notices).toEqual([])
    advance(1)
    expect([timers.rung('b').notices, timers.rung(undefined).notices]).toEqual([[], []])
    const { notices } = timers.rung('a')
    expect(notices).toEqual([expect.stringMatching(/^The timer "tea" rang at \d\d:\d\d:\d\d\.$/)])
    const again = timers.rung('a')
    expect(again.notices).toEqual(notices)
    again.forget()
    expect([timers.rung('a').notices, act({ action: 'list' })]).toEqual([[], 'There is no timer.'])
  })

  test.each([
    { action: 'set' },
    { action: 'set', seconds: 0 },
    { action: 'set', seconds: 1e9 },
    { action: 'set', seconds: 5, label: 'x'.repeat(100) },
    { action: 'ring' },
  ])('%j is told as an error', (args) => {
    expect(setUp().act(args)).toMatch(/^error: /)
  })

  test('needs a session, and a session has so many', () => {
    const { act } = setUp()
    const tools = builtInTools(new Timers())
    const call = { id: 'x', name: 'timer', args: '{"action":"list"}' }
    expect(runTool(tools, call, undefined)).toMatch(/^error: /)
    for (let count = 0; count < 16; count++) act({ action: 'set', seconds: 60 })
    expect(act({ action: 'set', seconds: 60 })).toMatch(/^error: /)
  })
})

test('a timer that the model has set is told with the first reply after it rang, and once', async () => {
  let ms = Date.UTC(2026, 1, 3, 12)
  const prompts: string[] = []
  const args = JSON.stringify({ action: 'set', seconds: 300, label: 'tea' })
  const call = { index: 0, id: 'a', function: { name: 'timer', arguments: args } }
  const stub = await startStub((response, { body }) => {
    const delta = prompts.push(body) === 1 ? { tool_calls: [call] } : { content: 'Well.' }
    response.end(`data: ${JSON.stringify({ choices: [{ delta, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`)
  })
  onTestFinished(() => stub.close())
  const env = { LLM_URL: stub.url, LLM_MODEL: 'm', LLM_CHAIN: 'openai', LLM_TOOLS: 'true' }
  const log = createLogger({ service: 'test', level: 'silent' })
  const timers = new Timers(() => new Date(ms))
  const llm = createLanguageModels(readOrchestratorConfig(env), NO_CHAT, log, timers)
  const say = async (session: string) => {
    const prompt = { instructions: '', history: [], memories: [], user: 'Hi.', session }
    for await (const _ of llm.reply(prompt, new AbortController().signal));
    return /The timer \S+ rang/.test(prompts.at(-1) ?? '')
  }
  expect(await say('anna/a')).toBe(false)
  expect(prompts[1]).toMatch(/Timer 1 .*tea.* in 300 seconds/)
  ms += 299_000
  expect(await say('anna/a')).toBe(false)
  ms += 1000
  expect([await say('bob/a'), await say('anna/a'), await say('anna/a')]).toEqual([false, true, false])
})
