/**
 * From the end of speech to the first byte of sound, with a language model of 200 ms to the first token and 30 tokens a second, for 1, 2 and 4
 * conversations at once.
 *
 *   npm run bench -- turn [--turns 20]
 */
import { openAsBlob } from 'node:fs'
import { parseArgs } from 'node:util'
import { startStack } from '../e2e/stack.ts'
import { quantile, round, show } from './figures.ts'
import { SPEECH } from './requests.ts'
import { startSlowMind } from './slow-mind.ts'

const { values } = parseArgs({ options: { turns: { type: 'string', default: '20' } } })

type Times = { firstAudioMs: number; totalMs: number }

/** One turn as a stream: milliseconds from sending the recording to the first sound, and to the end. */
async function turn(base: string): Promise<Times> {
  const body = new FormData()
  body.set('file', await openAsBlob(`${SPEECH}/008.wav`), 'speech.wav')
  const start = performance.now()
  const answer = await fetch(`${base}/generate`, { method: 'POST', headers: { accept: 'text/event-stream' }, body })
  if (!answer.ok || !answer.body) throw new Error(`expected a stream, got ${answer.status}`)
  let firstAudioMs = Number.NaN
  let text = ''
  for await (const bytes of answer.body.pipeThrough(new TextDecoderStream())) {
    text += bytes
    if (Number.isNaN(firstAudioMs) && text.includes('event: audio')) firstAudioMs = performance.now() - start
  }
  if (!text.includes('event: done')) throw new Error('the stream ended without done')
  return { firstAudioMs, totalMs: performance.now() - start }
}

const mind = await startSlowMind()
const stack = await startStack({
  env: { LLM_URL: mind.url, LLM_MODEL: 'slow', LLM_CHAIN: 'openai,embedded', TTS_PHRASE_CACHE_BYTES: '0' },
})
try {
  const rows = []
  for (const conversations of [1, 2, 4]) {
    const times: Times[] = []
    const talk = async () => {
      for (let count = 0; count < Number(values.turns); count++) times.push(await turn(stack.url.orchestrator))
    }
    await Promise.all(Array.from({ length: conversations }, talk))
    const of = (key: keyof Times, q: number) =>
      round(
        quantile(
          times.map((each) => each[key]),
          q,
        ),
      )
    rows.push({
      conversations,
      turns: times.length,
      'first sound p50 ms': of('firstAudioMs', 0.5),
      'p95 ms': of('firstAudioMs', 0.95),
      'whole turn p50 ms': of('totalMs', 0.5),
    })
  }
  await show('turn', rows)
} finally {
  await stack.stop()
  mind.close()
}
