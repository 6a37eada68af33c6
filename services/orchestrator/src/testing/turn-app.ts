/** For tests: the routes of turns and sessions over fake stages, without the rest of the orchestrator. */
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { Admission } from '../admission.ts'
import { addGenerate } from '../generate.ts'
import type { GenerateOptions } from '../generate.ts'
import { addSessionRoutes } from '../session-routes.ts'
import { Sessions } from '../sessions.ts'
import type { Stages } from '../turn-events.ts'
import { Turns } from '../turns.ts'
import { fakeStages } from './fake-stages.ts'

/** Two turns at the same time, and nobody may wait for a session. `ask` posts JSON to /generate. */
export function turnApp(overrides: Partial<Stages> = {}, options: Partial<GenerateOptions> = {}) {
  const log = createLogger({ service: 'test', level: 'silent' })
  const metrics = createMetrics('test')
  const { now } = options
  const app = createApp({ service: 'test', models: () => [], log, metrics, maxBodyBytes: 200_000, ...(now && { now }) })
  const fakes = fakeStages(overrides)
  const admission = new Admission(2)
  const sessions = options.sessions ?? new Sessions({ maxSessions: 10, maxTurns: 10, idleMs: 60_000, maxWaiting: 0 })
  const turns = new Turns()
  const limits = { instructions: 'Be kind.', maxTextChars: 100, turnLimitMs: 60_000 }
  addGenerate(app, { stages: fakes.stages, sessions, turns, admission, ...limits, log, metrics, ...options })
  addSessionRoutes(app, { sessions, turns })
  const request = async (path: string, init?: RequestInit) => app.request(path, init)
  const ask = async (body: object, accept = 'application/json', signal?: AbortSignal) =>
    request('/generate', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    })
  return { ...fakes, app, admission, sessions, turns, request, ask }
}

export async function jsonOf(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = await response.json()
  return { ...(typeof body === 'object' ? body : {}) }
}

/** A mind that says four words, and then waits until it is aborted. */
export function endlessMind(): { llm: Stages['llm']; stopped: Promise<void> } {
  const stopped = Promise.withResolvers<void>()
  const llm: Stages['llm'] = {
    name: 'endless/mind',
    async *reply(_, signal) {
      yield { text: 'One two three four. ', model: 'endless/mind' }
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stopped.resolve()
          reject(signal.reason)
        })
      })
    },
  }
  return { llm, stopped: stopped.promise }
}
