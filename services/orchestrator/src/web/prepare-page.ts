/** The thread that prepares the page: strips types, names what to load early, compresses, and puts a version over it all. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import type { PageFile, PageFiles } from './page-files.ts'

const FOLDER = join(import.meta.dirname, 'page')
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  ts: 'text/javascript; charset=utf-8',
}
/** Not needed before somebody talks. */
const LATER = /-worklet\.ts$/

function preparePage(): PageFiles {
  const names = readdirSync(FOLDER).filter((name) => kindOf(name) in TYPES && !/\.(?:test|d)\.ts$/.test(name))
  const texts = new Map(names.map((name) => [name, readText(join(FOLDER, name))]))
  const document = texts.get('index.html') ?? ''
  texts.delete('index.html')
  addShared(texts)
  const version = createHash('sha256')
    .update(JSON.stringify([document, ...texts]))
    .digest('base64url')
    .slice(0, 16)
  const html = document.replaceAll('{{folder}}', `web/${version}`).replace('{{preloads}}', preloads(texts, version))
  const files = [...texts].map(([name, text]) => [name, packed(text, kindOf(name))] as const)
  return { version, document: packed(html, 'html'), files: new Map(files) }
}

const kindOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

/** A module's types go, and with them every import that only brought types. */
function readText(path: string): string {
  const text = readFileSync(path, 'utf8')
  return path.endsWith('.ts') ? stripTypeScriptTypes(text).replace(/[ \t]+$/gm, '') : text
}

/** What the page takes from packages/shared, and what that takes, is served beside it: the browser knows no package names. */
function addShared(texts: Map<string, string>): void {
  const folder = join(import.meta.dirname, '../../../../packages/shared/src')
  // A map's new entries are visited too.
  for (const [name, text] of texts) {
    const wanted = name.startsWith('shared-') ? /'\.\/([\w-]+)\.ts'/g : /'@hearth\/shared\/([\w-]+)'/g
    for (const [, shared] of text.matchAll(wanted))
      if (!texts.has(`shared-${shared}.ts`)) texts.set(`shared-${shared}.ts`, readText(join(folder, `${shared}.ts`)))
    texts.set(name, text.replace(wanted, `'./shared-$1.ts'`))
  }
}

/** Without them the browser would find out about each module only in the one that imports it. */
const preloads = (texts: ReadonlyMap<string, string>, version: string): string =>
  [...texts.keys()]
    .filter((name) => name.endsWith('.ts') && !LATER.test(name))
    .map((name) => `<link rel="modulepreload" href="web/${version}/${name}">`)
    .join('\n')

function packed(text: string, kind: string): PageFile {
  const bytes = Buffer.from(text)
  return {
    type: TYPES[kind] ?? '',
    bytes: Uint8Array.from(bytes),
    gzip: Uint8Array.from(gzipSync(bytes, { level: 9 })),
  }
}

parentPort?.postMessage(preparePage(), [])
