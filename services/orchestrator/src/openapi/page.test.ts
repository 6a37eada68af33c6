import { createHash } from 'node:crypto'
import { Secret } from '@hearth/shared/config'
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { expect, test } from 'vitest'
import { markdownOf } from './blocks.ts'
import { openApi, THEMES } from './document.ts'
import { pageOf } from './page.ts'
import { referenceOf } from './reference.ts'
import { addApiDescription } from './routes.ts'

const blocks = referenceOf(openApi('1.2.3'))
const page = pageOf(blocks, '1.2.3')

function setUp() {
  const log = createLogger({ service: 'test', level: 'silent' })
  const access = { apiKey: new Secret('correct-horse-battery') }
  const app = createApp({
    service: 'test',
    models: () => [],
    log,
    metrics: createMetrics('test'),
    maxBodyBytes: 1,
    access,
  })
  addApiDescription(app, '1.2.3')
  return async (path: string, key?: string) =>
    app.request(path, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
}

test('the page needs no script, no other file and no other address', () => {
  expect(page).not.toMatch(/<script|<img|<link|<iframe|@import|url\(|\son\w+=|\sstyle=/)
  for (const [, address = ''] of page.matchAll(/(?:href|src)="([^"]*)"/g))
    expect(address).toMatch(/^(?:#[\w-]+|openapi\.json)$/)
})

test('every link on the page leads somewhere, and every place has one name', () => {
  const places = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
  expect(new Set(places).size).toBe(places.length)
  for (const [, place] of page.matchAll(/href="#([^"]*)"/g)) expect(places).toContain(place)
})

test('page and Markdown tell every route with its example', () => {
  const markdown = markdownOf(blocks)
  for (const { operations } of THEMES)
    for (const { method, path, examples } of operations) {
      expect(markdown).toContain(`### ${method.toUpperCase()} ${path}\n`)
      for (const _ of examples) expect(markdown).toContain(`http://localhost:8080${path.split('{', 1)[0]}`)
    }
  expect(page.match(/<h3/g)?.length).toBe(markdown.match(/^### /gm)?.length)
})

test('texts are written as texts, whatever is in them', () => {
  const html = pageOf(
    [
      { kind: 'text', text: 'a <b> & `<i>` **"c"** `GET /x`' },
      { kind: 'heading', level: 3, text: 'GET /x' },
    ],
    '1',
  )
  expect(html).toContain(
    '<p>a &lt;b&gt; &amp; <code>&lt;i&gt;</code> <strong>&quot;c&quot;</strong> <a href="#get-x"><code>GET /x</code></a></p>',
  )
})

test('a cell of a table may hold a bar', () => {
  expect(markdownOf([{ kind: 'table', head: ['a'], rows: [['b | c']] }])).toBe('| a |\n| --- |\n| b \\| c |\n')
})

test('both are served to whoever has the key', async () => {
  const request = setUp()
  for (const path of ['/docs', '/openapi.json']) expect((await request(path)).status).toBe(401)
  const document = await request('/openapi.json', 'correct-horse-battery')
  expect(await document.json()).toEqual(JSON.parse(JSON.stringify(openApi('1.2.3'))))
  const html = await request('/docs', 'correct-horse-battery')
  expect(html.headers.get('content-type')).toMatch(/^text\/html/)
  expect(await html.text()).toBe(page)
})

test('the page’s policy lets its style through and nothing else', async () => {
  const response = await setUp()('/docs', 'correct-horse-battery')
  const [, style = ''] = /<style>([^]*)<\/style>/.exec(await response.text()) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = response.headers.get('content-security-policy')
  expect(policy).toContain(`style-src 'sha256-${hash}'`)
  expect(policy).toContain(`default-src 'none'`)
})
