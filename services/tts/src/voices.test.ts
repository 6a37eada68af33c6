import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import spec from './model.json' with { type: 'json' }
import { findVoice, listVoices, nearestVoice, voiceTitle } from './voices.ts'

const DEMO = ['af_demo', 'am_demo']

test('the voices are the voice files of the folder whose language is spoken, and nothing else in it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'voices-'))
  mkdirSync(join(dir, 'voices'))
  for (const file of [
    'am_b.bin',
    'af_a.bin',
    'bf_c.bin',
    'jf_d.bin',
    'zm_x.bin',
    'ef_dora.bin',
    'README.md',
    'af_e.bin.part',
    '__proto__.bin',
  ]) {
    writeFileSync(join(dir, 'voices', file), '')
  }
  expect(listVoices(dir)).toEqual(['af_a', 'am_b', 'bf_c', 'ef_dora'])
  expect(listVoices(join(dir, 'voices'))).toEqual([])
  rmSync(dir, { recursive: true })
})

test("a voice's own name is itself", () => {
  expect(findVoice('am_demo', DEMO)).toBe('am_demo')
})

test("OpenAI's names get the voice of the same name where it exists", () => {
  expect(findVoice('nova', ['af_heart', 'af_nova', 'am_onyx'])).toBe('af_nova')
  expect(findVoice('onyx', ['af_heart', 'af_nova', 'am_onyx'])).toBe('am_onyx')
})

test("OpenAI's names are spread over the demo voices", () => {
  const names = ['alloy', 'ash', 'ballad', 'coral', 'echo', 'fable', 'nova', 'onyx', 'sage', 'shimmer', 'verse']
  const voices = names.map((name) => findVoice(name, DEMO))
  expect(voices.filter((voice) => voice === 'af_demo')).toHaveLength(5)
  expect(voices.filter((voice) => voice === 'am_demo')).toHaveLength(6)
})

test("OpenAI's names are thirteen different voices where the folder has them", () => {
  const all = spec.optionalFiles.map((file) => file.slice('voices/'.length, -'.bin'.length))
  const names = [
    'alloy',
    'ash',
    'ballad',
    'cedar',
    'coral',
    'echo',
    'fable',
    'marin',
    'nova',
    'onyx',
    'sage',
    'shimmer',
    'verse',
  ]
  expect(new Set(names.map((name) => findVoice(name, all))).size).toBe(13)
})

test.each([
  '__proto__',
  'constructor',
  'toString',
  '',
  '../../x',
  '/etc/passwd',
  'af_demo\0.bin',
  'AF_DEMO',
  'af_demo ',
])('the name %j is no voice', (name) => {
  expect(findVoice(name, DEMO)).toBeUndefined()
})

test('a missing voice is stood in for by one of the same sex, else by any', () => {
  expect(nearestVoice('bm_lewis', DEMO)).toBe('am_demo')
  expect(nearestVoice('af_heart', ['am_demo'])).toBe('am_demo')
  expect(nearestVoice('bm_lewis', ['af_a', 'em_alex', 'am_z'])).toBe('am_z')
  expect(nearestVoice('af_heart', [])).toBeUndefined()
})

test('a voice has a title for people', () => {
  expect(voiceTitle('bf_emma')).toBe('Emma (British, female)')
  expect(voiceTitle('em_alex')).toBe('Alex (Spanish, male)')
})
