/** `npm test`: checks, then unit, model and end-to-end tests, and those of the page in a browser. With arguments only vitest runs, with those (`npm test -- <path>`). */
import { provideChromium } from './chromium.ts'
import { thisMachine } from './machine.ts'
import { provideRedis } from './redis.ts'
import { show, summary } from './run.ts'
import type { Outcome } from './run.ts'

const PROJECTS = ['unit', 'model', 'e2e', 'page'] as const

const parameters = process.argv.slice(2)
const outcomes = parameters.length > 0 ? [await vitest('vitest', parameters)] : await everything()
console.log(`\n${summary(outcomes)}`)
process.exitCode = outcomes.every(({ isGood }) => isGood) ? 0 : 1

/** Every step runs, even after one that failed: a person who waited for the tests wants to know all of it. */
async function everything(): Promise<Outcome[]> {
  const steps = [await show('check', [process.execPath, 'scripts/check.ts'])]
  const redis = await provideRedis(thisMachine, (line) => console.log(line))
  console.log(redis === null ? 'Redis: none to be had' : `Redis: ${redis}`)
  const chroma = await show('chroma', [process.execPath, 'scripts/install-chroma.ts'])
  if (!chroma.isGood) console.log('Chroma: none to be had, what needs one is skipped')
  const chromium = await provideChromium(thisMachine, (line) => console.log(line))
  if (chromium === null) console.log('Chromium: none to be had, the tests of the page in a browser are skipped')
  for (const project of PROJECTS) steps.push(await vitest(project, ['--project', project]))
  return steps
}

function vitest(name: string, options: string[]): Promise<Outcome> {
  return show(name, ['vitest', 'run', ...options])
}
