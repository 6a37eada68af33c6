import { expect, test } from 'vitest'
import { isSilencePhrase } from './silence-phrases.ts'

const sure = { noSpeechProbability: 0.01, averageLogProbability: -0.2 }
const doubtful = { noSpeechProbability: 0.5, averageLogProbability: -0.2 }

test('credits of subtitles are never what somebody said', () => {
  for (const text of [
    'Subtitles by the Amara.org community',
    'Untertitel der Amara.org-Community',
    'ご視聴ありがとうございました',
  ])
    expect(isSilencePhrase({ text, ...sure })).toBe(true)
})

test('thanks are dropped only where the model has its doubts', () => {
  expect(isSilencePhrase({ text: 'Thank you.', ...doubtful })).toBe(true)
  expect(isSilencePhrase({ text: 'Thank you.', ...sure })).toBe(false)
  expect(isSilencePhrase({ text: 'Thank you for the garden lamp.', ...doubtful })).toBe(false)
})
