/**
 * A text as a list of blocks, which both the page and the Markdown file are written from, so that they can't tell different things.
 * Inside a block, text is Markdown's inline kind: `code`, **bold** and [links](#there).
 */

export type Block =
  | { readonly kind: 'heading'; readonly level: 1 | 2 | 3 | 4; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }

export const heading = (level: 1 | 2 | 3 | 4, title: string): Block => ({ kind: 'heading', level, text: title })
export const text = (words: string): Block => ({ kind: 'text', text: words })

/** The blocks of a Markdown text of paragraphs, lists and tables. */
export const blocksOf = (markdown: string): Block[] => markdown.split('\n\n').map(blockOf)

function blockOf(part: string): Block {
  const lines = part.split('\n')
  if (lines.every((line) => line.startsWith('- '))) return { kind: 'list', items: lines.map((line) => line.slice(2)) }
  if (!part.startsWith('|')) return { kind: 'text', text: lines.join(' ') }
  const [head = [], , ...rows] = lines.map(cellsOf)
  return { kind: 'table', head, rows }
}

const cellsOf = (line: string): string[] =>
  line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim())

/** The name of a heading in links, as GitHub makes it. */
export const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-')

export function markdownOf(blocks: readonly Block[]): string {
  return `${blocks.map(markdownBlock).join('\n\n')}\n`
}

function markdownBlock(block: Block): string {
  if (block.kind === 'heading') return `${'#'.repeat(block.level)} ${block.text}`
  if (block.kind === 'text') return block.text
  if (block.kind === 'list') return block.items.map((item) => `- ${item}`).join('\n')
  if (block.kind === 'code') return `\`\`\`${block.language}\n${block.text}\n\`\`\``
  const { head, rows } = block
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}
