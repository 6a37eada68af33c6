/** The requests that boot.ts sends to a service with random weights: few lengths of each kind, as clients have them. */
import { encodeWav } from '@hearth/shared/wav'
import type { Service } from './boot-process.ts'

const SENTENCE = 'The lights in the kitchen are off, and it will rain in London tomorrow, so take an umbrella.'
const words = (count: number) => Array.from({ length: count }, (_, at) => ['rain', 'lamp', 'tea'][at % 3]).join(' ')
export type Ask = (url: string, turn: number) => Promise<Response>
/** Requests of each service by their length; the first of each service is what a start is measured with. */
export const REQUEST_KINDS: Readonly<Record<Service, Readonly<Record<string, Ask>>>> = {
  stt: { '1 s': transcribe(1), '5 s': transcribe(5), '30 s': transcribe(30) },
  tts: { '1 s': say('Good morning, Anna.'), '5 s': say(SENTENCE), '1 s, mp3': say('Good morning, Anna.', 'mp3') },
  embeddings: {
    '8 words': embed([words(8)]),
    '100 words': embed([words(100)]),
    '32 texts': embed(Array(32).fill(words(14))),
  },
}

function transcribe(seconds: number): Ask {
  return (url, turn) => {
    const samples = Float32Array.from({ length: seconds * 16_000 }, (_, at) => 0.1 * Math.sin(at / (9 + turn)))
    const body = new FormData()
    body.set('file', new Blob([encodeWav({ samples, sampleRateHz: 16_000 })]), 'tone.wav')
    // One attempt, and none of it taken for silence: random weights would be asked again and again.
    for (const [name, value] of Object.entries({ vad_filter: 'false', temperature: '0', language: 'en' }))
      body.set(name, value)
    return fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body })
  }
}

function say(input: string, format = 'pcm'): Ask {
  return (url) => postJson(`${url}/v1/audio/speech`, { input, response_format: format })
}

function embed(input: readonly string[]): Ask {
  return (url) => postJson(`${url}/v1/embeddings`, { input })
}

const postJson = (url: string, body: object) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** Throws unless the answer is good and comes to its end. */
export async function whole(answer: Promise<Response>): Promise<void> {
  const response = await answer
  const body = await response.text()
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${body}`)
}

export function firstRequest(service: Service, url: string): Promise<void> {
  const [ask] = Object.values(REQUEST_KINDS[service])
  if (ask === undefined) throw new Error('expected a kind of request')
  return whole(ask(url, 0))
}
