/** The page in a real browser, over the real stack; where a conversation has to go just so, over a socket that the test speaks through. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModelStatus } from '@hearth/shared/api'
import { concat } from '@hearth/shared/audio'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { chromiumPath, DESKTOP, launch, openPage, PHONE } from './browser.ts'
import { fakeRealtime, replyDone, replyEvents } from './fake-realtime.ts'
import type { FakeRealtime } from './fake-realtime.ts'
import { SERVICES } from '../scripts/stack.ts'
import { recording, recordingPath, transcriptOf } from './spoken.ts'
import { startStack, untilTrue } from './stack.ts'
import type { Stack } from './stack.ts'

let stack: Stack
let browser: Browser
let url: string

const appended = ({ sent }: FakeRealtime) => sent.filter(({ type }) => type === 'input_audio_buffer.append')

describe.skipIf(chromiumPath === null)('the page', () => {
  beforeAll(async () => {
    ;[stack, browser] = await Promise.all([startStack(), launch(recordingPath('011.wav'))])
    await Promise.all(SERVICES.map((service) => stack.untilReady(service)))
    url = `${stack.url.orchestrator}/`
  })
  afterAll(async () => {
    await browser?.close()
    await stack?.stop()
  })

  async function withFake(options = DESKTOP): Promise<{ page: Page; realtime: FakeRealtime }> {
    let realtime: FakeRealtime | undefined
    const page = await openPage(browser, url, options, async (fresh) => {
      realtime = await fakeRealtime(fresh)
    })
    if (!realtime) throw new Error('expected a socket')
    await realtime.hears('session.update')
    return { page, realtime }
  }

  const type = async (page: Page, text: string) => {
    await page.getByLabel('Type a message').fill(text)
    await page.getByLabel('Type a message').press('Enter')
  }

  describe('loads', () => {
    test.each([
      ['desktop', DESKTOP],
      ['phone', PHONE],
    ])('at the size of a %s without moving about, and without a bar to scroll sideways', async (_, size) => {
      const { page } = await withFake(size)
      await page.locator('#state[data-state="ready"]').waitFor()
      const shifts = await page.evaluate<{ value: number; moved: string[] }[]>(
        `new Promise((done) => {
          const seen = []
          const where = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(' ')
          new PerformanceObserver((list) => {
            for (const { value, sources } of list.getEntries())
              seen.push({ value, moved: sources.map(({ node, previousRect, currentRect }) => (node?.id || node?.nodeName) + ': ' + where(previousRect) + ' -> ' + where(currentRect)) })
          }).observe({ type: 'layout-shift', buffered: true })
          requestAnimationFrame(() => requestAnimationFrame(() => done(seen)))
        })`,
      )
      // The field calls a page steady below that (cumulative layout shift, web.dev).
      expect(
        shifts.reduce((sum, { value }) => sum + value, 0),
        JSON.stringify(shifts),
      ).toBeLessThan(0.1)
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    })

    test('in light or dark, as the system is, and then as the reader says, also the next time', async () => {
      const { page } = await withFake({ ...DESKTOP, colorScheme: 'dark' } as typeof DESKTOP)
      const paper = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
      const dark = await paper()
      await page.getByRole('button', { name: 'Light or dark' }).click()
      const light = await paper()
      expect(light).not.toBe(dark)
      await page.reload()
      expect(await paper()).toBe(light)
    })
  })

  test('says what is still loading, with a bar, until it is ready', async () => {
    const { page, realtime } = await withFake()
    await page.locator('#state[data-state="ready"]').waitFor()
    await page.getByRole('tab', { name: 'System' }).click()
    await page.getByText(/Queue: \d+ waiting/).waitFor()
    const soFar = { bytes: 62, totalBytes: 100, downloadedBytes: 62, percent: 62 }
    const progress = { ...soFar, bytesPerSecond: 10, remainingMs: 4000 } satisfies ModelStatus['progress']
    const model = {
      id: 'big/ear',
      source: 'hub',
      state: 'fetching',
      progress,
      loadMs: null,
      warning: null,
      error: null,
    }
    realtime.say({ type: 'hearth.loading', models: [{ ...model, firstInferenceMs: null, secondInferenceMs: null }] })
    await page.locator('#state[data-state="loading"]', { hasText: 'Loading big/ear' }).waitFor()
    await page.getByText('downloading, 62 %, 4 s left').waitFor()
    expect(await page.getByRole('progressbar').getAttribute('value')).toBe('62')
  })

  test('asks for the key where there is one, and sends it with everything', async () => {
    const protocols: string[] = []
    const page = await openPage(
      browser,
      url,
      DESKTOP,
      async (fresh) => {
        await fresh.exposeFunction('seeProtocols', (names: string[]) => protocols.push(...names))
        await fresh.addInitScript(
          'window.WebSocket = class extends WebSocket { constructor(url, protocols) { super(url, protocols); seeProtocols(protocols) } }',
        )
        await fresh.route(/\/sessions\?/, (route) =>
          route.request().headers()['authorization'] === 'Bearer correct-horse-battery'
            ? route.fulfill({ json: { sessions: [] } })
            : route.fulfill({ status: 401, json: { error: { message: 'no' } } }),
        )
      },
      /status of 401/,
    )
    for (const key of ['wrong-wrong-wrong', 'correct-horse-battery']) {
      await page.getByLabel('Key', { exact: true }).fill(key)
      await page.getByRole('button', { name: 'Open' }).click()
    }
    await untilTrue(async () => protocols.length > 0)
    expect(protocols).toEqual(['realtime', 'openai-insecure-api-key.correct-horse-battery'])
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
  })

  test('shows what was said as text, whatever is in it', async () => {
    const { page, realtime } = await withFake()
    const text = '<img src=x onerror="document.title = 1"> & <b>bold</b>'
    realtime.say({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u1', transcript: text })
    await page.locator('.entry.user.done').waitFor()
    expect(await page.locator('.entry.user .text').innerText()).toBe(text)
    expect(await page.title()).toBe('Hearth')
  })

  describe('a typed turn', () => {
    test('is shown, answered, spoken, and its time drawn', async () => {
      const { page, realtime } = await withFake()
      await type(page, 'Hello there.')
      const item = await realtime.hears('conversation.item.create')
      expect(item).toMatchObject({ item: { role: 'user', content: [{ text: 'Hello there.' }] } })
      await realtime.hears('response.create')
      realtime.say(...replyEvents('Good morning.', 0.4), replyDone(), {
        type: 'hearth.turn',
        response_id: 'r1',
        turn: 't1',
        status: 'completed',
        timings: { firstAudioMs: 120, totalMs: 200 },
        waterfall: [
          { stage: 'llm', startMs: 0, durationMs: 100 },
          { stage: 'tts', startMs: 100, durationMs: 100 },
        ],
        memories: [],
        models: { stt: null, embeddings: null, llm: 'demo/chat', tts: 'demo/kokoro' },
        degraded: [],
      })
      await page.locator('.entry.assistant.done', { hasText: 'Good morning.' }).waitFor()
      await page.getByText('120 ms to first sound').waitFor()
      expect(await page.locator('#waterfall .row').allInnerTexts()).toEqual(['Thinking\n100 ms', 'Speaking\n100 ms'])
      await page.locator('#latency circle.typed').waitFor()
    })

    test('goes over POST /generate when there is no socket', async () => {
      const noSocket = (page: Page) =>
        page.addInitScript(
          `window.WebSocket = class extends WebSocket { constructor(url, protocols) { super(String(url).replace('realtime', 'nothing'), protocols) } }`,
        )
      const page = await openPage(browser, url, DESKTOP, noSocket, /^WebSocket connection .* failed/)
      await page.getByText('Offline, typing works').waitFor()
      await type(page, 'My name is Anna.')
      await page.locator('.entry.assistant.done').waitFor()
      expect(await page.locator('.entry.assistant .text').innerText()).toContain('Anna')
      await page.getByText('to first sound').waitFor()
      expect(await page.locator('#waterfall .row').count()).toBeGreaterThan(2)
    })
  })

  describe('a spoken turn', () => {
    test('is recorded while the button is held, sent when it is let go, and captions grow', async () => {
      const { page, realtime } = await withFake()
      const button = page.locator('#talk')
      await button.hover()
      await page.mouse.down()
      await realtime.hears('input_audio_buffer.append')
      expect(await button.getAttribute('aria-pressed')).toBe('true')
      await untilTrue(async () => appended(realtime).length > 15)
      await page.mouse.up()
      await realtime.hears('response.create')
      const kinds = realtime.sent.map(({ type: kind }) => kind.replace(/^input_audio_buffer\./, ''))
      expect(kinds.filter((kind, at) => kind !== kinds[at - 1])).toEqual([
        'session.update',
        'clear',
        'append',
        'commit',
        'response.create',
      ])
      const delta = (text: string) => ({
        type: 'conversation.item.input_audio_transcription.delta',
        item_id: 'u1',
        delta: text,
      })
      realtime.say({ type: 'input_audio_buffer.committed', item_id: 'u1' }, delta('How much '), delta('is ten'))
      await page.locator('.entry.user.growing', { hasText: 'How much is ten' }).waitFor()
      realtime.say({
        type: 'conversation.item.input_audio_transcription.completed',
        item_id: 'u1',
        transcript: 'How much is ten minus seven?',
      })
      await page.locator('.entry.user.done', { hasText: 'minus seven?' }).waitFor()
    })

    test('sound is what the microphone heard, at 24 kHz', async () => {
      const { page, realtime } = await withFake()
      await page.locator('#talk').hover()
      await page.mouse.down()
      await untilTrue(async () => appended(realtime).length > 30)
      await page.mouse.up()
      const sound = Buffer.concat(appended(realtime).map(({ audio }) => Buffer.from(String(audio), 'base64')))
      expect(Buffer.from(String(appended(realtime)[3]?.['audio']), 'base64')).toHaveLength(960 * 2)
      const samples = new Int16Array(sound.buffer, sound.byteOffset, sound.length / 2)
      expect(Math.max(...samples)).toBeGreaterThan(1000)
    })

    test('the space bar talks too, but not while somebody types', async () => {
      const { page, realtime } = await withFake()
      await page.getByLabel('Type a message').focus()
      await page.keyboard.press('Space')
      await page.locator('body').click({ position: { x: 400, y: 300 } })
      await page.keyboard.down('Space')
      await untilTrue(async () => appended(realtime).length > 15)
      await page.keyboard.up('Space')
      await realtime.hears('input_audio_buffer.commit')
      expect(realtime.sent.filter(({ type: kind }) => kind === 'input_audio_buffer.commit')).toHaveLength(1)
      expect(await page.getByLabel('Type a message').inputValue()).toBe(' ')
    })

    test('a tap starts and a tap sends, as for a screen reader’s click', async () => {
      const { page, realtime } = await withFake()
      await page.locator('#talk').focus()
      await page.keyboard.press('Enter')
      await realtime.hears('input_audio_buffer.append')
      await page.keyboard.press('Enter')
      await realtime.hears('input_audio_buffer.commit')
      expect(await page.locator('#talk').getAttribute('aria-pressed')).toBe('false')
    })

    test('hands-free listens by itself, with the detection that was chosen', async () => {
      const { page, realtime } = await withFake()
      await page.getByText('Hands-free', { exact: true }).click()
      await realtime.hears('input_audio_buffer.append')
      const detection = () => JSON.stringify(realtime.sent.findLast(({ type: kind }) => kind === 'session.update'))
      expect(detection()).toContain('server_vad')
      await page.getByRole('tab', { name: 'Settings' }).click()
      await page.getByLabel('you have finished').selectOption('when it sounds finished')
      await untilTrue(async () => detection().includes('semantic_vad'))
    })
  })

  test('the pieces of a reply follow each other without a gap, and a cut ends them without a click', async () => {
    const { page } = await withFake()
    const module = await page.locator('link[href$="worklet-speaker.ts"]').getAttribute('href')
    const rendered = await page.evaluate(
      `(async () => {
        const { WorkletSpeaker } = await import(new URL(${JSON.stringify(module)}, document.baseURI))
        const context = new OfflineAudioContext(1, 48000, 48000)
        await context.audioWorklet.addModule(new URL(${JSON.stringify(module)}, document.baseURI).href.replace('worklet-speaker', 'speaker-worklet'))
        const speaker = new WorkletSpeaker(context, () => {})
        const tone = Float32Array.from({ length: 24000 }, (_, at) => Math.sin((2 * Math.PI * 300 * at) / 24000))
        for (let at = 0; at < tone.length; at += 700) speaker.play('item', tone.slice(at, at + 700))
        context.suspend(0.5).then(async () => {
          speaker.stop()
          await new Promise((done) => setTimeout(done, 100))
          context.resume()
        })
        const buffer = await context.startRendering()
        return [...buffer.getChannelData(0)]
      })()`,
    )
    const samples = (rendered as number[]).slice((rendered as number[]).findIndex((sample) => Math.abs(sample) > 0.1))
    const steps = samples.map((sample, at) => Math.abs(sample - (samples[at - 1] ?? sample)))
    // A tone of 300 Hz never rises faster than that at 48 kHz; a gap or a click does.
    expect(Math.max(...steps)).toBeLessThan(((2 * Math.PI * 300) / 48_000) * 1.1)
    const heard = samples.findLastIndex((sample) => Math.abs(sample) > 0.1)
    expect(heard).toBeGreaterThan(0.45 * 48_000)
    expect(heard).toBeLessThan(0.51 * 48_000)
  })

  describe('barge-in', () => {
    test('speech stops the sound, and tells how much of it was heard', async () => {
      const { page, realtime } = await withFake()
      await type(page, 'Tell me a story.')
      realtime.say(...replyEvents('Once upon a time.', 8))
      await page.locator('#talk[data-phase="speaking"]').waitFor()
      realtime.say({ type: 'input_audio_buffer.speech_started', audio_start_ms: 0, item_id: 'u9' })
      const cut = await realtime.hears('conversation.item.truncate')
      expect(cut).toMatchObject({ item_id: 'r1-item', content_index: 0 })
      expect(cut['audio_end_ms']).toBeLessThan(7000)
      await page.locator('.entry.assistant.cut').waitFor()
      await page.locator('#talk[data-phase="hearing"]').waitFor()
      expect(realtime.sent.some(({ type: kind }) => kind === 'response.cancel')).toBe(false)
    })

    test('the time of what was cut off is drawn, up to the cut', async () => {
      const { page, realtime } = await withFake()
      await type(page, 'Tell me a story.')
      realtime.say(...replyEvents('Once upon a time.', 8), replyDone('r1', 'cancelled'), {
        type: 'hearth.turn',
        response_id: 'r1',
        turn: 't1',
        status: 'cancelled',
        timings: { firstAudioMs: 120, totalMs: 900 },
        waterfall: [
          { stage: 'llm', startMs: 0, durationMs: 900, unfinished: true },
          { stage: 'tts', startMs: 100, durationMs: 300 },
        ],
        memories: [],
        models: null,
        degraded: [],
      })
      await page.getByText('cut off after 900 ms').waitFor()
      expect(await page.locator('#waterfall .row').allInnerTexts()).toEqual(['Thinking\n900 ms', 'Speaking\n300 ms'])
      expect(await page.locator('#waterfall .bar.cut').count()).toBe(1)
      await page.getByText('This turn was cut off').waitFor()
    })

    test('a press of the button, Escape and the stop button cancel it', async () => {
      const { page, realtime } = await withFake()
      const ways = [
        () => page.keyboard.press('Escape'),
        () => page.getByText('Stop the reply').click(),
        () => page.locator('#talk').click(),
      ]
      for (const [at, stop] of ways.entries()) {
        const before = realtime.sent.length
        realtime.say(...replyEvents('Once upon a time.', 8, `r${at}`))
        await page.locator('#hint', { hasText: at === 0 ? 'Thinking' : 'Speaking' }).waitFor()
        await stop()
        await realtime.hears('response.cancel', before)
        expect(await page.getByText('Stop the reply').isDisabled()).toBe(false)
        realtime.say(replyDone(`r${at}`, 'cancelled'))
        if (at === 0) await type(page, 'Go on.')
      }
    })

    test('a reply that is heard to its end is not cut', async () => {
      const { page, realtime } = await withFake()
      await type(page, 'Say hello.')
      realtime.say(...replyEvents('Hello.', 1), replyDone())
      await page.locator('#talk[data-phase="speaking"]').waitFor()
      await page.locator('#talk[data-phase="idle"]').waitFor()
      realtime.say({ type: 'input_audio_buffer.speech_started', audio_start_ms: 0, item_id: 'u9' })
      await page.locator('#talk[data-phase="hearing"]').waitFor()
      expect(realtime.sent.some(({ type: kind }) => kind === 'conversation.item.truncate')).toBe(false)
    })
  })

  describe('a real conversation', () => {
    /** A page whose microphone hears that file, and everything that goes over its socket. */
    async function withMicrophone(wavPath: string, isEndless = false) {
      const own = await launch(wavPath, { isEndless })
      onTestFinished(() => own.close())
      const events: { type: string; [field: string]: unknown }[] = []
      const page = await openPage(own, url, DESKTOP, async (fresh) => {
        const keep = ({ payload }: { payload: string | Buffer }) => void events.push(JSON.parse(String(payload)))
        fresh.on('websocket', (socket) => socket.on('framesent', keep).on('framereceived', keep))
      })
      await page.locator('#state[data-state="ready"]').waitFor()
      return { page, events, saw: (kind: string) => events.some((event) => event.type === kind) }
    }

    test('by the button: what was said is heard, answered in words and sound, and its time is told', async () => {
      const { page, saw } = await withMicrophone(recordingPath('011.wav'))
      await page.locator('#talk').hover()
      await page.mouse.down()
      await page.locator('#talk[data-phase="hearing"]').waitFor()
      // The recording lasts two seconds.
      await page.waitForTimeout(2500)
      await page.mouse.up()
      await page.locator('#talk[data-phase="speaking"]').waitFor()
      await page.locator('#talk[data-phase="idle"]').waitFor()
      const said = await page.locator('.entry.user .text').innerText()
      expect(wordErrorRate([[transcriptOf('011.wav'), said]])).toBeLessThanOrEqual(0.25)
      expect(await page.locator('.entry.assistant .text').innerText()).not.toBe('')
      await page.getByText('to first sound').waitFor()
      expect(await page.locator('#waterfall .row .stage').allInnerTexts()).toEqual(
        expect.arrayContaining(['Hearing', 'Thinking', 'Speaking']),
      )
      await page.locator('#latency circle.spoken').waitFor()
      expect(saw('error')).toBe(false)
    })

    test('hands-free: captions grow while somebody speaks, and the end is found', async () => {
      const { page, events } = await withMicrophone(recordingPath('012.wav'))
      await page.getByText('Hands-free', { exact: true }).click()
      await page.locator('.entry.user.growing .text').waitFor()
      await page.locator('.entry.user.done').waitFor()
      await page.locator('#talk[data-phase="speaking"]').waitFor()
      const said = await page.locator('.entry.user .text').innerText()
      expect(wordErrorRate([[transcriptOf('012.wav'), said]])).toBeLessThanOrEqual(0.25)
      const kinds = events.map(({ type: kind }) => kind)
      expect(kinds.indexOf('input_audio_buffer.speech_started')).toBeLessThan(
        kinds.indexOf('input_audio_buffer.speech_stopped'),
      )
      await page.locator('#latency circle.spoken').waitFor()
    })

    test('hands-free: who speaks into a reply is heard, and the reply falls silent', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'hearth-page-'))
      onTestFinished(() => rm(folder, { recursive: true }))
      const path = join(folder, 'again.wav')
      const { samples, sampleRateHz } = decodeWav(new Uint8Array(await recording('012.wav').arrayBuffer()))
      await writeFile(
        path,
        encodeWav({ samples: concat([samples, new Float32Array(1.2 * sampleRateHz)]), sampleRateHz }),
      )
      const { page, events, saw } = await withMicrophone(path, true)
      await page.getByText('Hands-free', { exact: true }).click()
      await untilTrue(async () => saw('conversation.item.truncate'))
      await page.locator('.entry.assistant.cut').first().waitFor()
      const cut = events.find(({ type: kind }) => kind === 'conversation.item.truncate')
      await untilTrue(async () => saw('conversation.item.truncated'))
      expect(cut?.['audio_end_ms']).toBeGreaterThanOrEqual(0)
      expect(saw('error')).toBe(false)
    })

    test('typed, and gone on with after the page was loaded again', async () => {
      const { page } = await withMicrophone(recordingPath('011.wav'))
      await type(page, 'My name is Anna.')
      await page.locator('.entry.assistant.done').waitFor()
      await page.locator('#talk[data-phase="idle"]').waitFor()
      await page.reload()
      await page.locator('.entry.user', { hasText: 'My name is Anna.' }).waitFor()
      await type(page, 'What is my name?')
      await page.locator('.entry.assistant', { hasText: /: *Your name is Anna/ }).waitFor()
      expect(await page.locator('.entry').count()).toBe(4)
      await page.getByRole('tab', { name: 'Settings' }).click()
      expect(await page.locator('#sessions [aria-current]').innerText()).toMatch(/\d turns?/)
      await page.getByRole('button', { name: 'New' }).click()
      await page.locator('#welcome').waitFor()
      expect(await page.locator('.entry').count()).toBe(0)
    })
  })

  test('shows what the doctor finds, and every model of the stack', async () => {
    const { page } = await withFake()
    await page.getByRole('tab', { name: 'System' }).click()
    await page.locator('#models li', { hasText: 'demo/whisper' }).waitFor()
    await page.getByRole('button', { name: 'Examine' }).click()
    await page.locator('#findings li').first().waitFor()
    expect(await page.locator('#findings li').count()).toBeGreaterThan(3)
    expect(await page.locator('#findings').innerText()).not.toContain('undefined')
  })

  test('comes back after the connection broke, but not when another window took the conversation', async () => {
    const { page, realtime } = await withFake()
    await realtime.close()
    await untilTrue(async () => realtime.urls.length === 2)
    expect(new Set(realtime.urls).size).toBe(1)
    await page.locator('#state[data-state="ready"]').waitFor()
    await realtime.close(4409)
    await page.getByText('Goes on in another window').waitFor()
    expect(realtime.urls).toHaveLength(2)
  })

  test('shows what is remembered, corrects it and forgets it', async () => {
    const { page } = await withFake()
    const body = JSON.stringify({ text: 'My favourite colour is green.', user: 'default' })
    await fetch(`${url}generate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const memory = page.locator('#kept li', { hasText: 'favourite colour' })
    await untilTrue(async () => {
      await page.getByRole('tab', { name: 'Timing' }).click()
      await page.getByRole('tab', { name: 'Memory' }).click()
      return memory.first().isVisible()
    })
    await memory.getByRole('button', { name: 'Edit' }).click()
    await page.getByLabel('Memory', { exact: true }).last().fill('My favourite colour is blue.')
    await page.keyboard.press('Enter')
    const changed = page.locator('#kept li', { hasText: 'colour is blue' })
    await changed.waitFor()
    await changed.getByRole('button', { name: 'Forget' }).click()
    await changed.waitFor({ state: 'detached' })
    expect(await memory.count()).toBe(0)
  })

  test('tests itself: the voice speaks and the ear understands', async () => {
    const { page } = await withFake()
    await page.getByRole('tab', { name: 'System' }).click()
    await page.getByRole('button', { name: 'Run the self-test' }).click()
    const result = page.locator('#self-test-result')
    await result.getByText('Word errors').waitFor()
    expect(await result.innerText()).toMatch(/Word errors\s+(?:0|12|13) %/)
    await page.getByText(/Queue: \d+ waiting/).waitFor()
  })

  test('tells why there is no microphone on plain http; typing works, and is answered aloud', async () => {
    const address = new URL(url)
    address.hostname = 'hearth.lan'
    let realtime: FakeRealtime | undefined
    const page = await openPage(browser, address.href, DESKTOP, async (fresh) => {
      realtime = await fakeRealtime(fresh)
    })
    expect(await page.evaluate('isSecureContext')).toBe(false)
    await page.locator('#talk').click()
    const note = page.getByRole('note')
    expect(await note.innerText()).toContain(`ssh -L 8080:localhost:${address.port} hearth.lan`)
    await note.getByRole('button').click()
    await type(page, 'Hello.')
    realtime?.say(...replyEvents('Hello to you.', 8))
    await page.locator('#talk[data-phase="speaking"]').waitFor()
    await page.keyboard.press('Escape')
    expect(await realtime?.hears('conversation.item.truncate')).toMatchObject({ item_id: 'r1-item' })
    await page.locator('#talk[data-phase="thinking"]').waitFor()
  })

  test('can be used with the keys alone', async () => {
    const { page } = await withFake()
    await page.getByRole('tab', { name: 'Timing' }).focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('#panel-memory').isVisible()).toBe(true)
    await page.keyboard.press('End')
    expect(await page.evaluate('document.activeElement.id')).toBe('tab-settings')
    const unnamed = await page.evaluate(
      `[...document.querySelectorAll('button, input, select, [role]')]
        .filter((element) => element.checkVisibility() && !element.computedName && !element.getAttribute('aria-label') && !element.labels?.length && !element.textContent.trim() && !element.getAttribute('aria-labelledby')).map((element) => element.outerHTML)`,
    )
    expect(unnamed).toEqual([])
  })
})
