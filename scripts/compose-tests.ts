/**
 * `npm run test:compose`: the end-to-end suite against the real compose file, built from the real Dockerfile. Says clearly when there is no
 * engine to run it with. Arguments go to vitest (`npm run test:compose -- e2e/containers/images.compose.ts`).
 */
import { ROOT } from './compose-file.ts'
import { labBeside, provideEngine } from './docker-engine.ts'
import { conclude, runVitest } from './vitest.ts'

const engine = await provideEngine(labBeside(ROOT))
if (engine.kind === 'ready') {
  console.log(`compose: with ${engine.told}`)
  const outcome = await runVitest('compose', ['--project', 'compose', ...process.argv.slice(2)])
  await engine.close()
  conclude([outcome])
} else {
  console.log(`compose: ${engine.kind === 'none' ? 'SKIPPED' : 'FAILED'}, ${engine.told}`)
  process.exitCode = engine.kind === 'none' ? 0 : 1
}
