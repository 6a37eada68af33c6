import { never, settle } from '@hearth/shared/testing/signals'
import { expect, test } from 'vitest'
import { DecodePlaces } from './decode-places.ts'

const [SMALL, LARGE] = [100_000, 50_000_000]

/** Files that ask for a place one after the other, and the names of those that have one. */
function files(threads: number) {
  const places = new DecodePlaces({ threads })
  const decoding = new Map<string, () => void>()
  const ask = (name: string, bytes: number, signal = never) =>
    places.enter(bytes, signal).then(
      (leave) => void decoding.set(name, leave),
      () => undefined,
    )
  const end = (name: string) => {
    decoding.get(name)?.()
    decoding.delete(name)
  }
  const names = async () => {
    await settle()
    return [...decoding.keys()]
  }
  return { ask, end, names }
}

test('a clip does not wait while large files are read, and these take turns', async () => {
  const { ask, end, names } = files(2)
  void ask('hour', LARGE)
  void ask('other hour', LARGE)
  void ask('clip', SMALL)
  void ask('other clip', SMALL)
  expect(await names()).toEqual(['hour', 'clip'])
  end('clip')
  expect(await names()).toEqual(['hour', 'other clip'])
  end('hour')
  expect(await names()).toEqual(['other clip', 'other hour'])
  void ask('third hour', LARGE)
  end('other clip')
  expect(await names()).toEqual(['other hour'])
  end('other hour')
  expect(await names()).toEqual(['third hour'])
})

test('of one thread a large file takes it', async () => {
  const { ask, end, names } = files(1)
  void ask('hour', LARGE)
  void ask('clip', SMALL)
  expect(await names()).toEqual(['hour'])
  end('hour')
  expect(await names()).toEqual(['clip'])
})

test('a large file that leaves while it waits, or as its turn comes, keeps no place', async () => {
  const { ask, end, names } = files(2)
  const [waiting, called] = [new AbortController(), new AbortController()]
  void ask('hour', LARGE)
  void ask('waiting', LARGE, waiting.signal)
  void ask('called', LARGE, called.signal)
  void ask('last', LARGE)
  expect(await names()).toEqual(['hour'])
  waiting.abort(new Error('left'))
  await settle()
  called.abort(new Error('left'))
  end('hour')
  expect(await names()).toEqual(['last'])
  end('last')
  void ask('next', LARGE)
  expect(await names()).toEqual(['next'])
})
