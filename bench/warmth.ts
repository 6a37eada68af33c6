/**
 * Does the first request after "ready" cost more than a later one? Each round starts a fresh stack; the ratio's goal is at most 1.1.
 *
 *   npm run bench -- warmth [--rounds 3]
 */
import { parseArgs } from 'node:util'
import { median, round as rounded, show } from './figures.ts'
import { embed, generate, speak, SPEECH, transcribe } from './requests.ts'
import { startStack } from '../e2e/stack.ts'
import type { BenchStack } from './stack.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } })
const file = `${SPEECH}/008.wav`
const kinds: Record<string, (stack: BenchStack) => Promise<unknown>> = {
  transcription: (stack) => transcribe(stack, file, 'en'),
  speech: (stack) => speak(stack, 'The kitchen light is on.'),
  embedding: (stack) => embed(stack, 'Is the kitchen light on?'),
  turn: (stack) => generate(stack, file),
}

/** Milliseconds of requests 1 to 5 of one kind, one after another. */
async function five(request: () => Promise<unknown>): Promise<number[]> {
  const spentMs = []
  for (let count = 0; count < 5; count++) {
    const start = performance.now()
    await request()
    spentMs.push(performance.now() - start)
  }
  return spentMs
}

/** A fresh stack, whose services this process is connected to, and nothing else. */
async function round(request: (stack: BenchStack) => Promise<unknown>): Promise<number[]> {
  const stack = await startStack({ env: { STT_CACHE_SECONDS: '0', TTS_PHRASE_CACHE_BYTES: '0' } })
  try {
    for (const base of Object.values(stack.url)) await (await fetch(`${base}/health`)).arrayBuffer()
    return await five(() => request(stack))
  } finally {
    await stack.stop()
  }
}

const seen = new Map<string, number[][]>()
for (const [kind, request] of Object.entries(kinds)) {
  // The first round warms this process, not the stack: its figures don't count.
  await round(request)
  for (let count = 0; count < Number(values.rounds); count++)
    seen.set(kind, [...(seen.get(kind) ?? []), await round(request)])
}
const column = (rounds: readonly number[][], at: number) => median(rounds.map((spentMs) => spentMs[at] ?? Number.NaN))
await show(
  'warmth',
  [...seen].map(([kind, rounds]) => ({
    kind,
    'first ms': rounded(column(rounds, 0)),
    'second ms': rounded(column(rounds, 1)),
    'fifth ms': rounded(column(rounds, 4)),
    'first / fifth': rounded(column(rounds, 0) / column(rounds, 4), 2),
  })),
)
