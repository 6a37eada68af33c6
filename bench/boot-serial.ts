/**
 * The peer of boot.ts: one process that loads Whisper, Kokoro and MiniLM one after another with transformers.js, as the designs that this one grew
 * from did, then listens, and runs a model when it is asked. With `warm` each model runs once before that, as theirs did.
 *
 *   node boot-serial.ts <port> <whisper> <kokoro> <minilm> [warm]
 */
import { createServer } from 'node:http'
import { basename, dirname } from 'node:path'
import { AutoTokenizer, env, LogLevel, pipeline, StyleTextToSpeech2Model, Tensor } from '@huggingface/transformers'

const [port, whisper = '', kokoro = '', minilm = '', warm] = process.argv.slice(2)
env.allowRemoteModels = false
env.logLevel = LogLevel.NONE
const session_options = { intraOpNumThreads: 2, interOpNumThreads: 1 }
const load = <Task extends 'automatic-speech-recognition' | 'feature-extraction'>(task: Task, dir: string) => {
  env.localModelPath = dirname(dir)
  return pipeline(task, basename(dir), { dtype: 'fp32', session_options })
}
const recognise = await load('automatic-speech-recognition', whisper)
const voice = await StyleTextToSpeech2Model.from_pretrained(kokoro, {
  dtype: 'fp32',
  local_files_only: true,
  session_options,
})
const tokenizer = await AutoTokenizer.from_pretrained(kokoro, { local_files_only: true })
const extract = await load('feature-extraction', minilm)

const SAMPLES = Float32Array.from({ length: 16_000 }, (_, n) => 0.1 * Math.sin(n / 9))
const hear = () => recognise(SAMPLES, { language: 'en', task: 'transcribe', max_new_tokens: 20 })
/** The phonemes of "Good morning". */
const speak = () =>
  voice({
    ...tokenizer('ɡˈʊd mˈɔːɹnɪŋ.'),
    style: new Tensor('float32', new Float32Array(256), [1, 256]),
    speed: new Tensor('float32', [1], [1]),
  })

if (warm === 'warm') {
  await hear()
  await speak()
  await extract('Good morning.')
}
createServer((_request, response) => {
  void hear().then((answer) => response.end(JSON.stringify({ answer })))
}).listen(Number(port), '127.0.0.1')
