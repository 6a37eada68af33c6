/** `npm run check`: format, lint with types, types, and whether docs/api.md is what the code says. All run and all their problems are shown. */
import { keep, summary } from './run.ts'

const outcomes = await Promise.all([
  keep('format (oxfmt)', ['oxfmt', '--check', '.']),
  keep('lint (oxlint)', ['oxlint', '--type-aware', '--deny-warnings']),
  keep('types (tsc)', ['tsc', '--noEmit']),
  keep('types of the page (tsc)', ['tsc', '--noEmit', '--project', 'services/orchestrator/src/web/page']),
  keep('docs/api.md', [process.execPath, 'scripts/docs.ts', '--check']),
])
for (const { name, isGood, output } of outcomes) if (!isGood) console.log(`--- ${name}\n${output.trim()}\n`)
console.log(summary(outcomes))
process.exitCode = outcomes.every(({ isGood }) => isGood) ? 0 : 1
