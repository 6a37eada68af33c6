/**
 * Live captions at real time against the stt service: how soon the first words are shown, how many before the speaker has ended, and whether
 * the final transcript agrees with them. An utterance is three recordings in a row.
 *
 *   npm run bench -- captions [--port 8080]
 */
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createLogger } from '@hearth/shared/telemetry'
import { encodeWav } from '@hearth/shared/wav'
import { median, quantile, round, show } from './figures.ts'
import { RATE_HZ, sentences } from './hearing-sounds.ts'
import { benchStack } from './stack.ts'
import { Captions } from '../services/orchestrator/src/realtime/captions.ts'
import { createSttClient } from '../services/orchestrator/src/stages/stt.ts'

const STEP_MS = 20
const { values } = parseArgs({ options: { port: { type: 'string' } } })
const stack = await benchStack(values.port)
const never = new AbortController().signal
const stt = createSttClient({ stage: 'stt', url: stack.url.stt, limitMs: 10_000 })
const wordsOf = (text: string) =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s]/gu, '')
    .split(/\s+/)
    .filter(Boolean)

function utteranceAt(index: number): Float32Array {
  const three = [0, 1, 2].map(
    (next) => sentences[(3 * index + next) % sentences.length]?.samples ?? new Float32Array(0),
  )
  return Float32Array.from(three.flatMap((samples) => [...samples, ...new Float32Array(RATE_HZ / 10)]))
}

/** Says one utterance at real time. Seconds until the first words, words before the end, and those of them that the final begins with. */
async function say(captions: Captions, samples: Float32Array) {
  const startedAt = performance.now()
  const soFar = () => Math.min(samples.length, Math.round(((performance.now() - startedAt) / 1000) * RATE_HZ))
  const wav = () => encodeWav({ samples: samples.slice(0, soFar()), sampleRateHz: RATE_HZ })
  let [text, firstMs] = ['', Number.NaN]
  const onDelta = (delta: string) => {
    if (text === '') firstMs = performance.now() - startedAt
    text += delta
  }
  const caption = captions.begin({ wav, language: 'en', onDelta })
  for (; soFar() < samples.length; await pause(STEP_MS)) caption.grow(soFar() / RATE_HZ)
  caption.end()
  const final = wordsOf((await stt.transcribe(encodeWav({ samples, sampleRateHz: RATE_HZ }), never, 'en')).text)
  const shown = wordsOf(text)
  const agreed = shown.findIndex((word, at) => word !== final[at])
  return { firstMs, shown: shown.length, right: agreed < 0 ? shown.length : agreed, words: final.length }
}

async function crowd(count: number) {
  const captions = new Captions({ stt, log: createLogger({ service: 'bench', level: 'silent' }) })
  const said = await Promise.all(Array.from({ length: count }, (_, at) => say(captions, utteranceAt(at))))
  const sum = (key: 'shown' | 'right' | 'words') => said.reduce((all, each) => all + each[key], 0)
  const first = said.map(({ firstMs }) => firstMs).filter(Number.isFinite)
  return {
    speakers: count,
    'without a caption': count - first.length,
    'first words, s p50': round(median(first) / 1000, 2),
    p95: round(quantile(first, 0.95) / 1000, 2),
    'words shown before the end': `${sum('shown')} of ${sum('words')}`,
    'of them as in the final': sum('right'),
  }
}

try {
  await crowd(1)
  const rows = []
  for (const count of [1, 4, 16]) rows.push(await crowd(count))
  await show('captions', rows)
} finally {
  await stack.stop()
}
