/**
 * Word error rate of the speech service over the held-out recordings, through HTTP.
 * `npm run models:check -- --only whisper` gives the same figure outside Hearth.
 *
 *   npm run bench -- wer [--port 8080]
 */
import { parseArgs } from 'node:util'
import { readSpeech } from '@hearth/models/speech'
import { sameWords, wordErrorRate } from '@hearth/shared/word-error-rate'
import { round, show } from './figures.ts'
import { SPEECH, transcribe } from './requests.ts'
import { benchStack } from './stack.ts'

const { values } = parseArgs({ options: { port: { type: 'string' } } })
const stack = await benchStack(values.port)
try {
  const heard = []
  for (const sample of readSpeech(SPEECH)) {
    const { text } = await transcribe(stack, `${SPEECH}/${sample.file}`, sample.language)
    heard.push({ ...sample, heard: text })
  }
  const sentences = heard.filter((sample) => sample.kind === 'sentence')
  const short = heard.filter((sample) => sample.kind === 'short')
  await show('wer', [
    {
      sentences: sentences.length,
      'WER %': round(100 * wordErrorRate(sentences.map((sample) => [sample.text, sample.heard]))),
      'short commands right': `${short.filter((sample) => sameWords(sample.text, sample.heard)).length} of ${short.length}`,
    },
  ])
} finally {
  await stack.stop()
}
