/** `npm test`: checks, then unit, model and end-to-end tests, and those of the page in a browser. With arguments only vitest runs, with those (`npm test -- <path>`). */
import { provideChromium } from './chromium.ts'
import { thisMachine } from './machine.ts'
import { provideRedis } from './redis.ts'
import { show } from './run.ts'
import { conclude, runVitest } from './vitest.ts'
import type { TestOutcome } from './vitest.ts'

const PROJECTS = ['unit', 'model', 'e2e', 'page'] as const

const parameters = process.argv.slice(2)
conclude(parameters.length > 0 ? [await runVitest('vitest', parameters)] : await everything())

/** Every step runs, even after one that failed: a person who waited for the tests wants to know all of it. */
async function everything(): Promise<TestOutcome[]> {
  const steps: TestOutcome[] = [await show('check', [process.execPath, 'scripts/check.ts'])]
  const redis = await provideRedis(thisMachine, (line) => console.log(line))
  console.log(redis === null ? 'Redis: none to be had' : `Redis: ${redis}`)
  const chroma = await show('chroma', [process.execPath, 'scripts/install-chroma.ts'])
  if (!chroma.isGood) console.log('Chroma: none to be had, what needs one is skipped')
  const chromium = await provideChromium(thisMachine, (line) => console.log(line))
  if (chromium === null) console.log('Chromium: none to be had, the tests of the page in a browser are skipped')
  for (const project of PROJECTS) steps.push(await runVitest(project, ['--project', project]))
  return steps
}
