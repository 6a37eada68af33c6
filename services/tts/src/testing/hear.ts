/** An ear for tests of the voice: the demo Whisper, straight from the library. */
import { resample } from '@hearth/shared/audio'
import type { Audio } from '@hearth/shared/audio'
import {
  AutoFeatureExtractor,
  AutoTokenizer,
  env,
  Tensor,
  WhisperForConditionalGeneration,
} from '@huggingface/transformers'

/** What the Whisper in the folder `files` hears in up to 30 s of sound. */
export async function loadWhisper(files: string): Promise<(speech: Audio) => Promise<string>> {
  env.allowRemoteModels = false
  const extractor = await AutoFeatureExtractor.from_pretrained(files)
  const tokenizer = await AutoTokenizer.from_pretrained(files)
  const whisper = await WhisperForConditionalGeneration.from_pretrained(files, { dtype: 'fp32' })
  return async (speech) => {
    const { samples } = resample(speech, 16_000)
    const { input_features: inputs } = await extractor(samples, { max_length: samples.length + 4800 })
    const ids = await whisper.generate({ inputs, max_new_tokens: 60, language: 'en', task: 'transcribe' })
    if (!(ids instanceof Tensor)) throw new Error('expected token ids')
    return tokenizer.batch_decode(ids, { skip_special_tokens: true })[0]?.trim() ?? ''
  }
}
