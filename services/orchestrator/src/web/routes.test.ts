import { Secret } from '@hearth/shared/config'
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { beforeAll, describe, expect, test } from 'vitest'
import { gunzipSync } from 'node:zlib'
import { loadPage } from './page-files.ts'
import type { PageFiles } from './page-files.ts'
import { addPage, PAGE_PATHS } from './routes.ts'

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
let page: PageFiles
beforeAll(async () => {
  page = await loadPage()
})

function setUp(files: PageFiles | null = page) {
  const app = createApp({
    service: 'test',
    models: () => [],
    access: { apiKey: new Secret('correct-horse-battery'), openPaths: PAGE_PATHS },
    maxBodyBytes: 1000,
    log: createLogger({ service: 'test', level: 'silent' }),
    metrics: createMetrics('test'),
  })
  addPage(app, { welcome: { name: 'hearth' }, page: files ? Promise.resolve(files) : undefined })
  return (path: string, headers: Record<string, string> = {}) => app.request(path, { headers })
}

/** Each file of the page, as the document and the modules name them. */
const paths = () => [...page.files.keys()].map((name) => `/web/${page.version}/${name}`)

describe('the address itself', () => {
  test('gives people the page, without a key', async () => {
    const response = await setUp()('/', { accept: HTML })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await response.text()).toContain(`<script type="module" src="web/${page.version}/main.ts">`)
  })

  test.each([undefined, '*/*', 'application/json', 'text/html;q=0.1, application/json'])(
    'gives programs JSON (Accept: %s)',
    async (accept) => {
      const response = await setUp()('/', accept === undefined ? {} : { accept })
      expect([await response.json(), response.headers.get('vary')]).toEqual([{ name: 'hearth' }, 'Accept'])
    },
  )

  test('gives everybody JSON where there is no page', async () => {
    expect(await (await setUp(null)('/', { accept: HTML })).json()).toEqual({ name: 'hearth' })
  })

  test('is checked each time, and sent only when it is another', async () => {
    const request = setUp()
    const first = await request('/', { accept: HTML })
    const etag = first.headers.get('etag') ?? ''
    expect(first.headers.get('cache-control')).toBe('no-cache')
    expect((await request('/', { accept: HTML, 'if-none-match': etag })).status).toBe(304)
    expect((await request('/', { accept: HTML, 'if-none-match': '"other"' })).status).toBe(200)
  })

  test('lets nothing in from elsewhere, nor a script out of a text', async () => {
    const { headers } = await setUp()('/', { accept: HTML })
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|\*|https?:|data:|blob:/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    const html = await (await setUp()('/', { accept: HTML })).text()
    expect(html).not.toMatch(/ (?:style|on\w+)=|<script>|<style|https?:\/\//)
  })
})

describe('its files', () => {
  test('are of their types, without a key, and for good', async () => {
    const request = setUp()
    const types = { ts: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' }
    for (const path of paths()) {
      const { status, headers } = await request(path)
      expect([path, status, headers.get('content-type')]).toEqual([
        path,
        200,
        types[path.slice(path.lastIndexOf('.') + 1) as keyof typeof types],
      ])
      expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    }
  })

  test('are JavaScript: no types are left, and every import leads to one of them', async () => {
    const request = setUp()
    const modules = paths().filter((path) => path.endsWith('.ts'))
    expect(modules.length).toBeGreaterThan(20)
    for (const path of modules) {
      const text = await (await request(path)).text()
      expect(text).not.toMatch(/^(?:export )?(?:type|interface) |import type/m)
      for (const [, name = ''] of text.matchAll(/^(?:import|export)[^']*? from '([^']+)'/gm))
        expect(page.files.has(name.replace('./', '')), `${path} imports ${name}`).toBe(true)
    }
  })

  test('are all that the document names, and no test is among them', () => {
    const html = Buffer.from(page.document.bytes).toString()
    for (const [, path = ''] of html.matchAll(/(?:src|href)="(web\/[^"]+)"/g)) expect(paths()).toContain(`/${path}`)
    expect(paths().filter((path) => /test|tsconfig|\.d\.ts/.test(path.replace('self-test', '')))).toEqual([])
  })

  test('come compressed to whoever takes that', async () => {
    const response = await setUp()(paths()[0] ?? '', { 'accept-encoding': 'gzip, deflate' })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    const plain = await (await setUp()(paths()[0] ?? '')).arrayBuffer()
    expect(gunzipSync(await response.arrayBuffer()).equals(Buffer.from(plain))).toBe(true)
  })

  test('of another version, and what lies beside them, are not there', async () => {
    const request = setUp()
    for (const path of ['/web/other/main.ts', `/web/${page.version}/nothing.ts`, `/web/${page.version}/index.html`])
      expect((await request(path)).status).toBe(404)
    expect((await request(`/web/${page.version}/..%2fconfig.ts`)).status).toBe(404)
  })
})

test('everything together is light', () => {
  const bytes = [page.document, ...page.files.values()].reduce((sum, { gzip }) => sum + gzip.length, 0)
  expect(bytes).toBeLessThan(64_000)
})
