/**
 * Prints the measured quality of the demo models, run through transformers.js from local files, outside Hearth.
 *
 *   npm run models:check -- [--dtype q8] [--models <folder>] [--speech <folder>] [--only whisper,kokoro]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as hf from '@huggingface/transformers'
import { checkChat } from './check/chat.ts'
import { checkKokoro } from './check/kokoro.ts'
import { checkMiniLm } from './check/minilm.ts'
import { readSpeech } from './check/speech.ts'
import { checkTurn } from './check/turn.ts'
import { checkWhisper } from './check/whisper.ts'

const here = import.meta.dirname
const { values: options } = parseArgs({
  options: {
    dtype: { type: 'string', default: 'fp32' },
    models: { type: 'string', default: join(here, 'demo') },
    speech: { type: 'string', default: join(here, 'speech') },
    only: { type: 'string', default: 'whisper,kokoro,minilm,chat,turn' },
  },
})
hf.env.allowRemoteModels = false
hf.env.localModelPath = options.models

const dtype = options.dtype === 'q8' ? 'q8' : 'fp32'
const wanted = new Set(options.only.split(','))
const samples = readSpeech(options.speech)
const transcribe = wanted.has('whisper') ? await checkWhisper(samples, dtype) : null
if (wanted.has('kokoro')) await checkKokoro(options.models, transcribe)
if (wanted.has('minilm')) await checkMiniLm(dtype)
if (wanted.has('chat')) await checkChat(dtype)
if (wanted.has('turn')) await checkTurn(options.models, samples)
