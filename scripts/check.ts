/** `npm run check`: format, lint with types, and types. All three run and all their problems are shown. */
import { run, summary } from './run.ts'

const outcomes = await Promise.all([
  run('format (oxfmt)', ['oxfmt', '--check', '.'], 'keep'),
  run('lint (oxlint)', ['oxlint', '--type-aware', '--deny-warnings'], 'keep'),
  run('types (tsc)', ['tsc', '--noEmit'], 'keep'),
])
for (const { name, isGood, output } of outcomes) if (!isGood) console.log(`--- ${name}\n${output.trim()}\n`)
console.log(summary(outcomes))
process.exitCode = outcomes.every(({ isGood }) => isGood) ? 0 : 1
