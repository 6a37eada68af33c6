import { describe, expect, onTestFinished, test } from 'vitest'
import { startStub } from '../testing/http-stub.ts'
import { startReplica } from '../testing/job-setup.ts'
import { until } from '../testing/redis-server.ts'
import { findReplicas, watchReplicas } from './replica-watch.ts'

const inTime = () => AbortSignal.timeout(10_000)

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

test('only replicas that say they are ready are told, as they come and go', async () => {
  const [one, two] = [await startReplica(() => {}), await startReplica(() => {})]
  onTestFinished(async () => void (await Promise.all([one.close(), two.close()])))
  one.isReady = false
  let names = [one.url]
  let told: readonly string[] = ['nothing yet']
  const watch = watchReplicas({
    urls: ['http://stt'],
    find: async () => names,
    everyMs: 20,
    onChange: (ready) => (told = ready),
  })
  onTestFinished(() => watch.close())
  const becomes = (...expected: string[]) => until(() => String(told) === String(expected), inTime())
  await becomes()
  names = [one.url, two.url]
  await becomes(two.url)
  watch.lost(two.url)
  expect(told).toEqual([])
  one.isReady = true
  await becomes(one.url, two.url)
})

test('a server that does not know the question is taken for ready', async () => {
  const other = await startStub((response) => response.writeHead(404).end())
  onTestFinished(() => other.close())
  const { promise, resolve } = Promise.withResolvers<readonly string[]>()
  const watch = watchReplicas({ urls: [other.url], onChange: resolve })
  onTestFinished(() => watch.close())
  expect(await promise).toEqual([other.url])
})
