/** The API's description on its own address: `/openapi.json` for programs, `/docs` for people. */
import type { AppEnv } from '@hearth/shared/http'
import type { Hono } from 'hono'
import { openApi } from './document.ts'
import { PAGE_POLICY, pageOf } from './page.ts'
import { referenceOf } from './reference.ts'

/** Adds both. They are put together when somebody asks, so that a start doesn't wait for them. */
export function addApiDescription(app: Hono<AppEnv>, version: string): void {
  const document = once(() => openApi(version))
  const page = once(() => pageOf(referenceOf(document()), version))
  app.get('/openapi.json', (c) => c.json(document()))
  app.get('/docs', (c) =>
    c.html(page(), 200, { 'content-security-policy': PAGE_POLICY, 'x-content-type-options': 'nosniff' }),
  )
}

function once<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined
  return () => (made ??= { it: make() }).it
}
