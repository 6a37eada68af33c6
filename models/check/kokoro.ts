/** Kokoro: each voice speaks common sentences, and the demo Whisper says what it heard. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { resample } from '@hearth/shared/audio'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import * as hf from '@huggingface/transformers'
import { phonemize } from 'phonemizer'
import { mean, percent } from './speech.ts'
import type { Transcribe } from './whisper.ts'

const SENTENCES = [
  'Set a timer for ten minutes.',
  'What is the weather in Paris?',
  'Turn off the lights in the kitchen.',
  'Remember that my name is Anna.',
  'Good morning.',
  'What is seven plus five?',
  'My favourite colour is green.',
  'Stop the music.',
  'Wake me up at six thirty.',
  'Will it rain in London tomorrow?',
  'Where do I live?',
  'Thank you very much.',
  'Set the volume to five.',
  'Is the bedroom light on?',
  'What is my name?',
  'Remind me to buy milk on Friday.',
]
const STYLE_SIZE = 256

type Speak = (text: string, voice: Float32Array, speed: number) => Promise<Float32Array>

async function loadKokoro(): Promise<Speak> {
  const tokenizer = await hf.AutoTokenizer.from_pretrained('kokoro')
  const model = await hf.StyleTextToSpeech2Model.from_pretrained('kokoro', { dtype: 'fp32' })
  return async (text, voice, speed) => {
    const phonemes = (await phonemize(text, 'en-us')).join(' ') + text.slice(-1)
    const { input_ids } = tokenizer(phonemes, { truncation: true }) as { input_ids: hf.Tensor }
    const row = STYLE_SIZE * Math.min(Math.max((input_ids.dims.at(-1) ?? 2) - 2, 0), 509)
    const style = new hf.Tensor('float32', voice.slice(row, row + STYLE_SIZE), [1, STYLE_SIZE])
    const output = await model({ input_ids, style, speed: new hf.Tensor('float32', [speed], [1]) })
    return (output as { waveform: { data: Float32Array } }).waveform.data
  }
}

export async function checkKokoro(folder: string, transcribe: Transcribe | null) {
  console.log('\nkokoro')
  const speak = await loadKokoro()
  for (const file of readdirSync(join(folder, 'kokoro/voices')).toSorted()) {
    const bytes = readFileSync(join(folder, 'kokoro/voices', file))
    await checkVoice(file, new Float32Array(new Uint8Array(bytes).buffer), speak, transcribe)
  }
}

async function checkVoice(name: string, voice: Float32Array, speak: Speak, transcribe: Transcribe | null) {
  const [seconds, fast, spentMs]: [number[], number[], number[]] = [[], [], []]
  const pairs: [string, string][] = []
  for (const text of SENTENCES) {
    const start = performance.now()
    const samples = await speak(text, voice, 1)
    spentMs.push(performance.now() - start)
    seconds.push(samples.length / 24_000)
    fast.push((await speak(text, voice, 2)).length / 24_000)
    if (!transcribe) continue
    const [heard = ''] = await transcribe([resample({ samples, sampleRateHz: 24_000 }, 16_000).samples])
    pairs.push([text, heard])
  }
  console.log(
    `  ${name}: ${mean(seconds).toFixed(2)} s per sentence at speed 1, ${mean(fast).toFixed(2)} s at speed 2, ${mean(spentMs).toFixed(1)} ms to make` +
      (transcribe ? `; the demo whisper hears it with WER ${percent(wordErrorRate(pairs))}` : ''),
  )
}
