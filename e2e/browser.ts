/** A real browser for the tests of the page: Debian's Chromium or another one that is there, with a microphone that plays a recording. */
import { chromium } from 'playwright-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { CHROMIUM } from '../scripts/chromium.ts'
import { thisMachine } from '../scripts/machine.ts'
import { findProgram } from '../scripts/provide-program.ts'

/** Null where there is none: what needs one is skipped, and says so. */
export const chromiumPath = findProgram(CHROMIUM, thisMachine)
if (chromiumPath === null) console.warn('\nSKIPPED: no Chromium here, so the page was not tested in a browser\n')

/** The microphone hears the WAV file once from its opening on, or over and over. */
export const launch = (wavPath: string, { isEndless = false } = {}): Promise<Browser> =>
  chromium.launch({
    ...(chromiumPath !== null && { executablePath: chromiumPath }),
    // In a container the sandbox would need privileges; what is opened here is our own page.
    chromiumSandbox: false,
    args: [
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-audio-capture=${wavPath}${isEndless ? '' : '%noloop'}`,
      '--autoplay-policy=no-user-gesture-required',
      // An address that is not this machine's own, to the browser's mind.
      '--host-resolver-rules=MAP hearth.lan 127.0.0.1',
    ],
  })

export const DESKTOP = { viewport: { width: 1280, height: 800 } }
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

/**
 * A page of its own, closed with the test; `prepare` comes before it is opened. What the browser complains about (errors, violations of the
 * policy, requests elsewhere) fails the test, but for complaints that match `expected`.
 */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = DESKTOP,
  prepare: (page: Page) => Promise<unknown> = async () => {},
  expected = /^$/,
): Promise<Page> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  const complain = (text: string) => expected.test(text) || complaints.push(text)
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complain(message.text()))
  page.on('pageerror', (error) => complain(error.message))
  page.on('request', (request) => new URL(request.url()).origin === new URL(url).origin || complain(request.url()))
  onTestFinished(async () => {
    await context.close()
    expect(complaints).toEqual([])
  })
  await prepare(page)
  await page.goto(url)
  return page
}
