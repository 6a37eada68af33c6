/** Whisper: word error rate at both window lengths and batch sizes, language, silence, timestamps. */
import { sameWords, wordErrorRate } from '@hearth/shared/word-error-rate'
import * as hf from '@huggingface/transformers'
import { mean, percent, type Sample } from './speech.ts'

const WINDOW_SAMPLES = 480_000
/** Silence that a fitted window keeps behind the longest clip, and the step the encoder's frames are cut in. */
const [TAIL_SAMPLES, STEP_SAMPLES] = [4800, 320]

type Heard = readonly [reference: string, heard: string]
export type Transcribe = (clips: readonly Float32Array[], language?: string, full?: boolean) => Promise<string[]>

/** Loads the model and gives a function that transcribes some clips in one batch, from local files only. */
export async function loadWhisper(dtype: 'fp32' | 'q8') {
  const model = await hf.WhisperForConditionalGeneration.from_pretrained('whisper', { dtype })
  const processor = await hf.AutoProcessor.from_pretrained('whisper')
  const { tokenizer } = processor
  if (!tokenizer) throw new Error('the processor has no tokenizer')
  const generation = model.generation_config as unknown as GenerationConfig
  const transcribe: Transcribe = async (clips, language = 'en', full = false) => {
    const inputs = await features(processor, clips, full)
    const prompt = promptIds(generation, language)
    // The library wants the first tokens once per row of a batch; of its own it gives one row and stops with an error.
    const ids = await model.generate({
      inputs,
      max_new_tokens: 60,
      decoder_input_ids: clips.map(() => [...prompt]),
    } as never)
    const rows = (ids as hf.Tensor).tolist() as bigint[][]
    return rows.map((row) => text(tokenizer, row.slice(prompt.length), BigInt(generation.eos_token_id)))
  }
  return { model, processor, generation, transcribe }
}

type GenerationConfig = {
  decoder_start_token_id: number
  eos_token_id: number
  no_timestamps_token_id: number
  lang_to_id: Record<string, number>
  task_to_id: Record<string, number>
}

async function features(processor: hf.Processor, clips: readonly Float32Array[], full: boolean): Promise<hf.Tensor> {
  const longest = Math.max(...clips.map((clip) => clip.length))
  const length = full ? WINDOW_SAMPLES : Math.ceil((longest + TAIL_SAMPLES) / STEP_SAMPLES) * STEP_SAMPLES
  const extract = processor.feature_extractor as unknown as (
    clip: Float32Array,
    options: { max_length: number },
  ) => Promise<{ input_features: hf.Tensor }>
  const rows = await Promise.all(clips.map((clip) => extract(clip, { max_length: length })))
  return hf.cat(
    rows.map((row) => row.input_features),
    0,
  )
}

const promptIds = (generation: GenerationConfig, language: string): number[] => [
  generation.decoder_start_token_id,
  generation.lang_to_id[`<|${language}|>`] ?? 0,
  generation.task_to_id['transcribe'] ?? 0,
  generation.no_timestamps_token_id,
]

/** A finished row of a batch goes on until the last one is done, and `decode([])` throws. */
function text(tokenizer: hf.PreTrainedTokenizer, row: readonly bigint[], endOfText: bigint): string {
  const stop = row.indexOf(endOfText)
  const kept = stop < 0 ? row : row.slice(0, stop)
  return kept.length > 0 ? tokenizer.decode([...kept], { skip_special_tokens: true }).trim() : ''
}

export async function checkWhisper(samples: readonly Sample[], dtype: 'fp32' | 'q8'): Promise<Transcribe> {
  const whisper = await loadWhisper(dtype)
  console.log(`\nwhisper (${dtype}), ${samples.length} recordings never trained on`)
  for (const full of [false, true])
    for (const batch of [1, 4]) await checkErrorRate(whisper.transcribe, samples, full, batch)
  await checkLanguage(whisper, samples)
  await checkSilence(whisper.transcribe)
  await checkTimestamps(samples, dtype)
  return whisper.transcribe
}

async function checkErrorRate(transcribe: Transcribe, samples: readonly Sample[], full: boolean, batch: number) {
  const heard = new Map<Sample, string>()
  const start = performance.now()
  for (const language of new Set(samples.map((sample) => sample.language))) {
    const part = samples.filter((sample) => sample.language === language)
    for (let at = 0; at < part.length; at += batch) {
      const group = part.slice(at, at + batch)
      const texts = await transcribe(
        group.map((sample) => sample.samples),
        language,
        full,
      )
      group.forEach((sample, row) => heard.set(sample, texts[row] ?? ''))
    }
  }
  const perClipMs = (performance.now() - start) / samples.length
  const pairs = (kept: readonly Sample[]): Heard[] => kept.map((sample) => [sample.text, heard.get(sample) ?? ''])
  const sentences = samples.filter((sample) => sample.kind === 'sentence')
  const short = pairs(samples.filter((sample) => sample.kind === 'short'))
  const byLanguage = [...new Set(sentences.map((sample) => sample.language))].map(
    (language) => `${language} ${percent(wordErrorRate(pairs(sentences.filter((s) => s.language === language))))}`,
  )
  const right = short.filter(([reference, got]) => sameWords(reference, got)).length
  console.log(
    `  ${full ? '30 s window  ' : 'fitted window'} batch ${batch}: WER ${percent(wordErrorRate(pairs(sentences)))}` +
      ` (${byLanguage.join(', ')}), short commands right ${right} of ${short.length}, ${perClipMs.toFixed(0)} ms per clip`,
  )
}

async function checkLanguage(whisper: Awaited<ReturnType<typeof loadWhisper>>, samples: readonly Sample[]) {
  let right = 0
  for (const sample of samples) {
    const input_features = await features(whisper.processor, [sample.samples], true)
    const start = new hf.Tensor('int64', [BigInt(whisper.generation.decoder_start_token_id)], [1, 1])
    const { logits } = (await whisper.model({ input_features, decoder_input_ids: start })) as { logits: hf.Tensor }
    const score = ([, id]: readonly [string, number]) => Number(logits.data[id])
    const best = Object.entries(whisper.generation.lang_to_id).toSorted((a, b) => score(b) - score(a))[0]
    right += Number(best?.[0] === `<|${sample.language}|>`)
  }
  console.log(`  language from the first decoder step: ${right} of ${samples.length} right`)
}

async function checkSilence(transcribe: Transcribe) {
  const noise = (length: number, level: number) => Float32Array.from({ length }, () => level * (Math.random() * 2 - 1))
  const clips = [new Float32Array(32_000), noise(32_000, 0.001), noise(32_000, 0.02), noise(48_000, 0.2)]
  const texts = []
  for (const full of [false, true]) for (const clip of clips) texts.push(...(await transcribe([clip], 'en', full)))
  console.log(`  silence and noise: ${texts.filter((heard) => !heard).length} of ${texts.length} empty`)
}

/** Begin and end against a known lead of silence: the recordings have about 0.1 s before the first word and 0.2 s after the last. */
async function checkTimestamps(samples: readonly Sample[], dtype: 'fp32' | 'q8') {
  const recognise = await hf.pipeline('automatic-speech-recognition', 'whisper', { dtype })
  const leadSeconds = 1.5
  const [offsets, pairs]: [number[], Heard[]] = [[], []]
  for (const sample of samples.filter((s) => s.language === 'en' && s.kind === 'sentence')) {
    const audio = new Float32Array(leadSeconds * 16_000 + sample.samples.length)
    audio.set(sample.samples, leadSeconds * 16_000)
    const options = { language: 'en', task: 'transcribe', return_timestamps: true } as const
    const heard = await recognise(audio, options)
    const [begin, end] = [heard.chunks?.[0]?.timestamp[0], heard.chunks?.at(-1)?.timestamp[1]]
    pairs.push([sample.text, heard.text])
    if (begin != null && end != null)
      offsets.push(Math.abs(begin - leadSeconds - 0.1), Math.abs(end - (audio.length / 16_000 - 0.2)))
  }
  console.log(
    `  with timestamps (${leadSeconds} s of silence in front): WER ${percent(wordErrorRate(pairs))}, mean error of begin and end ${mean(offsets).toFixed(2)} s`,
  )
}
