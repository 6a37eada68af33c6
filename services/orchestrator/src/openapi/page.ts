/**
 * The reference as one page that needs nothing else: no scripts, no files, no other address. It can be saved and read anywhere, and the
 * strictest content security policy lets it through.
 */
import { createHash } from 'node:crypto'
import { anchorOf } from './blocks.ts'
import type { Block } from './blocks.ts'
import { STYLE } from './page-style.ts'

type Heading = Extract<Block, { kind: 'heading' }>

/** Only the page's own style; no frames, no forms. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function pageOf(blocks: readonly Block[], version: string): string {
  const headings = blocks.filter((block) => block.kind === 'heading')
  const title = headings.find(({ level }) => level === 1)?.text ?? ''
  const known = new Set(headings.map(({ text }) => text))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Contents">
<p><a href="#${anchorOf(title)}">${escape(title)}</a> <small>${escape(version)}</small></p>
<ul>
${headings
  .filter(({ level }) => level === 2 || level === 3)
  .map(contentsLine)
  .join('\n')}
</ul>
<p><a href="openapi.json">openapi.json</a></p>
</nav>
<main>
${blocks.map((block) => blockHtml(block, known)).join('\n')}
</main>
</body>
</html>
`
}

const contentsLine = ({ level, text }: Heading): string =>
  `<li class="level-${level}"><a href="#${anchorOf(text)}">${titleHtml(text)}</a></li>`

/** A route's method is set apart from its path. */
function titleHtml(title: string): string {
  const [, method, path] = /^([A-Z]+) (\/.*)$/.exec(title) ?? []
  if (method === undefined || path === undefined) return inlineHtml(title, new Set())
  // May be broken before a slash.
  return `<span class="method ${method.toLowerCase()}">${method}</span> <span class="path">${escape(path).replaceAll('/', '<wbr>/')}</span>`
}

function blockHtml(block: Block, known: ReadonlySet<string>): string {
  const inline = (text: string) => inlineHtml(text, known)
  if (block.kind === 'heading') return headingHtml(block)
  if (block.kind === 'text') return `<p>${inline(block.text)}</p>`
  if (block.kind === 'list') return `<ul>${block.items.map((item) => `<li>${inline(item)}</li>`).join('')}</ul>`
  if (block.kind === 'code')
    return `<pre tabindex="0"><code>${block.text.split('\n').map(codeLine).join('\n')}</code></pre>`
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${inline(cell)}</${tag}>`).join('')}</tr>`
  const { head, rows } = block
  return `<table><thead>${row(head, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('\n')}</tbody></table>`
}

/** Those of level 4 are the same below many routes, and nobody links there. */
function headingHtml({ level, text }: Heading): string {
  if (level === 4) return `<h4>${titleHtml(text)}</h4>`
  return `<h${level} id="${anchorOf(text)}"><a href="#${anchorOf(text)}">${titleHtml(text)}</a></h${level}>`
}

const codeLine = (line: string): string => (line.startsWith('# ') ? `<i>${escape(line)}</i>` : escape(line))

/** `code`, **bold**, [links](#there); what is the name of a route leads there. */
const inlineHtml = (text: string, known: ReadonlySet<string>): string =>
  text
    .split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/)
    .map((part) => {
      const [, code, bold, link, address] = /^(?:`(.+)`|\*\*(.+)\*\*|\[(.+)\]\((.+)\))$/.exec(part) ?? []
      if (code !== undefined) return codeHtml(code, known)
      if (bold !== undefined) return `<strong>${escape(bold)}</strong>`
      if (link !== undefined && address !== undefined) return `<a href="${escape(address)}">${escape(link)}</a>`
      return escape(part)
    })
    .join('')

const codeHtml = (code: string, known: ReadonlySet<string>): string =>
  known.has(code) ? `<a href="#${anchorOf(code)}"><code>${escape(code)}</code></a>` : `<code>${escape(code)}</code>`

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
