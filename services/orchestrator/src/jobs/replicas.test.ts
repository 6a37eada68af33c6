import { describe, expect, test } from 'vitest'
import { findReplicas, Replicas } from './replicas.ts'

const urls = ['http://a', 'http://b']
const takeAll = (replicas: Replicas, count: number) =>
  Promise.all(Array.from({ length: count }, () => replicas.take([])))

describe('who gets the next job', () => {
  test('jobs that start together go together, up to one batch each', async () => {
    const taken = await takeAll(new Replicas(urls, { windowMs: 0 }), 6)
    expect(taken.map(({ url }) => url)).toEqual([...Array(4).fill('http://a'), ...Array(2).fill('http://b')])
  })

  test('jobs that start one after another go to the least busy one', async () => {
    const replicas = new Replicas(urls, { windowMs: 0 })
    const first = await replicas.take([])
    const second = await replicas.take([])
    expect([first.url, second.url]).toEqual(urls)
    second.release()
    expect((await replicas.take([])).url).toBe('http://b')
  })

  test('the one that failed the job is asked again only when there is no other', async () => {
    const replicas = new Replicas(urls, { windowMs: 0 })
    expect((await replicas.take(['http://a'])).url).toBe('http://b')
    replicas.urls = ['http://a']
    expect((await replicas.take(['http://a'])).url).toBe('http://a')
  })

  test('after a failure the others come first for a while', async () => {
    let nowMs = 0
    const replicas = new Replicas(urls, { windowMs: 0, now: () => nowMs })
    replicas.failed('http://a')
    expect((await takeAll(replicas, 4)).map(({ url }) => url)).toEqual(Array(4).fill('http://b'))
    nowMs = 5001
    expect((await replicas.take([])).url).toBe('http://a')
  })
})

describe('finding replicas', () => {
  const named = async () => [{ address: '10.0.0.3' }, { address: '10.0.0.2' }]

  test('a name stands for all of its addresses', async () => {
    expect(await findReplicas('http://stt:8081', named)).toEqual(['http://10.0.0.2:8081', 'http://10.0.0.3:8081'])
  })

  test.each(['http://127.0.0.1:8081', 'http://[::1]:8081', 'https://stt.example'])('%s stays as it is', async (url) => {
    expect(await findReplicas(url, named)).toEqual([url])
  })

  test('a name that nobody knows stays as it is', async () => {
    const unknown = () => Promise.reject(new Error('ENOTFOUND'))
    expect(await findReplicas('http://stt:8081', unknown)).toEqual(['http://stt:8081'])
  })
})
