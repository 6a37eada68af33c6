/**
 * A model service as a process: the fake engine behind the real start, store and server. Settings come by environment (`FAKE_PORT`,
 * `FAKE_PRELOAD`, ...), the spec and what the engine does wrong by `FAKE_SETUP`.
 */
import * as z from 'zod'
import { readConfig, text } from '../config.ts'
import { createModelApp } from '../model-app.ts'
import { runService, startModelService } from '../model-service.ts'
import { COMMON_SECTIONS, modelServiceSettings } from '../service-settings.ts'
import { gate } from './signals.ts'
import { type FakeInput, fakeInput, type FakeOptions, type FakeOutput } from './fake-engine.ts'

const Setup = z.object({
  spec: z.object({ id: z.string(), revision: z.string(), files: z.array(z.string()).readonly(), demo: z.string() }),
  engine: z.object({ load: z.enum(['ok', 'exit', 'hang']).default('ok') }),
  /** Whether a rehearsal that has arrived waits for a call of `/release` before it looks for the model. */
  holdRehearsals: z.boolean().default(false),
})
export type FakeSetup = z.input<typeof Setup>

const sections = {
  ...COMMON_SECTIONS,
  fake: z.object({ ...modelServiceSettings({ port: 0 }), setup: text() }),
}

runService('fake', async () => {
  // oxlint-disable-next-line node/no-process-env -- a process of its own
  const config = readConfig(sections, process.env)
  const { spec, engine, holdRehearsals } = Setup.parse(JSON.parse(config.fake.setup))
  const [arrived, released] = [gate(), gate()]
  if (!holdRehearsals) released.resolve()
  await startModelService<FakeInput, FakeOutput, true>({
    name: 'fake',
    config,
    settings: config.fake,
    spec,
    maxBatchSize: 4,
    engine: new URL('./fake-engine.ts', import.meta.url),
    engineOptions: (): FakeOptions => engine,
    prepare: () => true,
    createApp: (parts) => {
      const kind = { service: 'fake', maxBodyBytes: 1000, aliases: ['any'], task: 'doubling', family: () => 'fake' }
      const { app, use } = createModelApp(parts, kind)
      app.post('/release', (c) => {
        released.resolve()
        return c.body(null)
      })
      app.get('/arrived', async (c) => {
        await arrived.promise
        return c.body(null)
      })
      app.post('/double', async (c) => {
        if (c.req.query('rehearsal') !== undefined) {
          arrived.resolve()
          await released.promise
        }
        const model = await use(c, c.req.query('model'))
        const { output, model: id } = await model.submit(fakeInput(21), AbortSignal.timeout(60_000))
        return c.json({ output: output.data[0], id })
      })
      return app
    },
    rehearse: (base, signal) => fetch(`${base}/double?rehearsal`, { method: 'POST', signal }),
  })
})
