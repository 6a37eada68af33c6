/**
 * kokoro-js as a program of its own, because its onnxruntime and Hearth's can't be in one process. It runs in a folder where `npm install kokoro-js`
 * was done; for each line of JSON `{text}` it speaks as its README shows (`stream`) and answers a line with what that took.
 *
 *   node kokoro-js.mjs <folder with node_modules> <model folder> <file of the voice to speak with>
 */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [folder, model, voice] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const entry = require.resolve('kokoro-js')
// It only speaks with the voices that are in its own folder: the one to speak with takes the place of one of those.
copyFileSync(voice, join(dirname(entry), '..', 'voices', 'af_heart.bin'))
const { KokoroTTS, TextSplitterStream } = await import(pathToFileURL(join(dirname(entry), 'kokoro.js')).href)
const tts = await KokoroTTS.from_pretrained(readable(model), { dtype: 'fp32', device: 'cpu' })

/** The same model, its tokenizer's pattern without the escapes that the older transformers.js in kokoro-js can't read. */
function readable(original) {
  const copy = mkdtempSync(join(tmpdir(), 'kokoro-'))
  process.on('exit', () => rmSync(copy, { recursive: true }))
  for (const file of readdirSync(original)) symlinkSync(join(original, file), join(copy, file))
  const tokenizer = JSON.parse(readFileSync(join(original, 'tokenizer.json'), 'utf8'))
  const { pattern } = tokenizer.normalizer
  pattern.Regex = pattern.Regex.replace(/\\([^\w\\\]^-])/g, '$1')
  rmSync(join(copy, 'tokenizer.json'))
  writeFileSync(join(copy, 'tokenizer.json'), JSON.stringify(tokenizer))
  return copy
}

async function speak(text) {
  const splitter = new TextSplitterStream()
  const start = performance.now()
  const cpu = process.cpuUsage()
  splitter.push(text)
  splitter.close()
  const said = { firstMs: 0, totalMs: 0, seconds: 0 }
  for await (const { audio } of tts.stream(splitter, { voice: 'af_heart' })) {
    said.firstMs ||= performance.now() - start
    said.seconds += audio.audio.length / audio.sampling_rate
  }
  const { user, system } = process.cpuUsage(cpu)
  return { ...said, totalMs: performance.now() - start, cpuMs: (user + system) / 1000 }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await speak(JSON.parse(line).text))}\n`)
