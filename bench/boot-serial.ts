/**
 * The peer of boot.ts: one process that loads Whisper, Kokoro and MiniLM one after another with transformers.js, as the designs that this one grew
 * from did, then listens, and runs a model when it is asked. Nothing is warmed.
 *
 *   node boot-serial.ts <port> <whisper> <kokoro> <minilm>
 */
import { createServer } from 'node:http'
import { basename, dirname } from 'node:path'
import { AutoTokenizer, env, LogLevel, pipeline, StyleTextToSpeech2Model } from '@huggingface/transformers'

const [port, whisper = '', kokoro = '', minilm = ''] = process.argv.slice(2)
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
createServer((_request, response) => {
  void recognise(SAMPLES, { language: 'en', task: 'transcribe', max_new_tokens: 20 }).then((answer) =>
    response.end(JSON.stringify({ answer, parts: [voice, tokenizer, extract].length })),
  )
}).listen(Number(port), '127.0.0.1')
