import { expect, test } from 'vitest'
import { detectLanguage } from './detect-language.ts'

test.each([
  ['en', 'Turn on the light in the kitchen, please.'],
  ['de', 'Wie spät ist es?'],
  ['fr', 'Quelle heure est-il ?'],
  ['es', 'Enciende la luz'],
  ['ja', '今何時ですか'],
  ['hi', 'समय क्या है?'],
])('%s is told from "%s"', (language, text) => {
  expect(detectLanguage(text)).toBe(language)
})

test.each(['Hi', 'ok', '12:30', '…', '👍'])('nothing is told from "%s", which is too little', (text) => {
  expect(detectLanguage(text)).toBeUndefined()
})
