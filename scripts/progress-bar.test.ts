import { withRate } from '@hearth/shared/model-status'
import { expect, test } from 'vitest'
import { progressBar } from './progress-bar.ts'

const news = { bytes: 90_000_000, totalBytes: 290_000_000, downloadedBytes: 30_000_000 }

test('tells percent, bytes, rate and the time that is left', () => {
  const progress = withRate(news, { bytes: 0, atMs: 0 }, 2500)
  expect(progressBar(progress)).toBe('[#######-----------------]   31 %  90 MB of 290 MB  12 MB/s  17 s left')
})

test('leaves out what is not known, and is full at the end', () => {
  expect(progressBar(withRate(news, null, 0))).toBe('[#######-----------------]   31 %  90 MB of 290 MB')
  expect(progressBar(withRate({ ...news, bytes: news.totalBytes }, null, 0))).toMatch(/^\[#{24}\]  100 %/)
  expect(progressBar(withRate({ ...news, totalBytes: 0 }, null, 0))).toMatch(/^\[-{24}\] {2}90 MB of 0 kB$/)
})
