/** `npm run docs` writes docs/api.md anew from the description of the API; with `--check` it only says whether that is needed. */
import { readFile, writeFile } from 'node:fs/promises'
import { markdownOf } from '../services/orchestrator/src/openapi/blocks.ts'
import { openApi } from '../services/orchestrator/src/openapi/document.ts'
import { referenceOf } from '../services/orchestrator/src/openapi/reference.ts'

const NOTE =
  '<!-- Written by `npm run docs` from the schemas in the code and services/orchestrator/src/openapi: edit those. -->'

const file = new URL('../docs/api.md', import.meta.url)
const isCheck = process.argv.includes('--check')
const wanted = `${NOTE}\n\n${markdownOf(referenceOf(openApi('any')))}`
const isFresh = (await readFile(file, 'utf8').catch(() => '')) === wanted

if (!isFresh && isCheck) console.log('docs/api.md is not what the code says: run `npm run docs`')
if (!isFresh && !isCheck) await writeFile(file, wanted)
process.exitCode = isCheck && !isFresh ? 1 : 0
