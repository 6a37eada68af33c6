/** The real detector and the demo turn-end model, on recordings in a stream. What is measured here more closely is in bench/hearing.ts. */
import { join } from 'node:path'
import { readSpeech } from '@hearth/models/speech'
import type { StoreOptions } from '@hearth/shared/model-store'
import { createLogger } from '@hearth/shared/telemetry'
import { never } from '@hearth/shared/testing/signals'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SpeechWatch } from './speech-watch.ts'
import type { Ears, SpeechEvent, TurnDetection } from './speech-watch.ts'
import { createJudge, createTurnEndModel } from './turn-end-model.ts'
import { createVoiceModel } from './voice-model.ts'

const RATE_HZ = 16_000
const models = join(import.meta.dirname, '../../../models')
const sentences = readSpeech(join(models, 'speech')).filter(({ kind }) => kind === 'sentence')
const log = createLogger({ service: 'stt', level: 'silent' })
const store: StoreOptions = {
  cacheDir: join(import.meta.dirname, 'no-cache'),
  endpoint: 'http://127.0.0.1:1',
  offline: true,
  demoDir: join(models, 'demo'),
  log,
}
const voice = createVoiceModel({ log, rows: 32 })
const turnEnd = createTurnEndModel({ settings: {}, store, log })
// Without the limit in time: a busy machine is not to decide what is heard.
const judge: Ears['judgeTurnEnd'] = async (samples, signal) => (await turnEnd.submit({ samples }, signal)).output
const ears: Ears = { followVoice: voice.followVoice, judgeTurnEnd: judge }

beforeAll(() => turnEnd.ready(never))
afterAll(() => Promise.all([voice.close(), turnEnd.close()]))

const VAD: TurnDetection = { type: 'server_vad', threshold: 0.5, prefixPaddingMs: 300, silenceMs: 500 }
const SEMANTIC: TurnDetection = { type: 'semantic_vad', eagerness: 'medium' }

/** A second of silence, the sound, and two more seconds. */
function stream(said: Float32Array): Float32Array {
  const samples = new Float32Array(said.length + 3 * RATE_HZ)
  samples.set(said, RATE_HZ)
  return samples
}

async function hear(samples: Float32Array, detection: TurnDetection, step = 320): Promise<SpeechEvent[]> {
  const watch = new SpeechWatch({ ...ears, detection })
  const events: SpeechEvent[] = []
  for (let at = 0; at < samples.length; at += step)
    events.push(...(await watch.push(samples.subarray(at, at + step), never)))
  return events
}

describe('each recording is one turn', () => {
  test.each(sentences.map(({ file, samples }) => [file, samples] as const))('%s', async (_, samples) => {
    const events = await hear(stream(samples), VAD)
    expect(events.map(({ type }) => type)).toEqual(['started', 'paused', 'stopped'])
    const [started, , stopped] = events
    const seconds = { from: (started?.atSample ?? 0) / RATE_HZ, to: (stopped?.atSample ?? 0) / RATE_HZ }
    // The recordings begin and end with a little silence of their own.
    expect(seconds.from).toBeGreaterThan(0.6)
    expect(seconds.from).toBeLessThan(1.1)
    expect(seconds.to).toBeGreaterThan(1 + samples.length / RATE_HZ)
    expect(seconds.to).toBeLessThan(1.8 + samples.length / RATE_HZ)
  })
})

test('silence and noise are no turn', async () => {
  const noise = Float32Array.from({ length: 5 * RATE_HZ }, (_, n) => 0.05 * Math.sin(n * n * 0.37))
  expect(await hear(noise, VAD)).toEqual([])
  expect(await hear(new Float32Array(5 * RATE_HZ), VAD)).toEqual([])
})

test('sixteen conversations at once hear what each of them hears alone', async () => {
  const sixteen = sentences.slice(0, 16).map(({ samples }) => stream(samples))
  const together = await Promise.all(
    sixteen.map((samples, at) => hear(samples, at % 2 ? VAD : SEMANTIC, 300 + 40 * at)),
  )
  for (const [at, samples] of sixteen.entries())
    expect(together[at]).toEqual(await hear(samples, at % 2 ? VAD : SEMANTIC))
})

test('who has finished a sentence waits less than who has not, by what the demo model knows', async () => {
  const waitedMs = async (samples: Float32Array): Promise<number> => {
    const padded = new Float32Array(samples.length + 4 * RATE_HZ)
    padded.set(samples)
    const stopped = (await hear(padded, SEMANTIC)).findLast(({ type }) => type === 'stopped')
    if (stopped?.type !== 'stopped') return Infinity
    return ((stopped.atSample - stopped.speechEndSample) * 1000) / RATE_HZ
  }
  const whole = []
  const cut = []
  for (const { samples, cutSeconds } of sentences.slice(0, 10)) {
    whole.push(await waitedMs(samples))
    if (cutSeconds !== null) cut.push(await waitedMs(samples.slice(0, cutSeconds * RATE_HZ)))
  }
  expect(whole.filter((ms) => ms < 300).length / whole.length).toBeGreaterThan(0.7)
  expect(cut.filter((ms) => ms > 600).length / cut.length).toBeGreaterThan(0.7)
})

test('while the turn-end model is away, silence decides', async () => {
  const away = createTurnEndModel({ settings: {}, store: { ...store, demoDir: '/nowhere' }, log })
  const [sentence] = sentences
  const watch = new SpeechWatch({
    followVoice: voice.followVoice,
    judgeTurnEnd: createJudge({ model: away, log }),
    detection: SEMANTIC,
  })
  const events = await watch.push(stream(sentence?.samples ?? new Float32Array()), never)
  expect(events.map(({ type }) => type)).toEqual(['started', 'paused', 'stopped'])
  expect(events.at(-1)).toMatchObject({ decidedBy: 'silence' })
  await away.close()
})
