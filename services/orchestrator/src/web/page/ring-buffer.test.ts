import { expect, test } from 'vitest'
import { RingBuffer } from './ring-buffer.ts'

const count = (from: number, to: number) => Float32Array.from({ length: to - from }, (_, at) => from + at)

function read(ring: RingBuffer, length: number): number[] {
  const output = new Float32Array(length).fill(-1)
  ring.read(output)
  return [...output]
}

test('what is written is read in order, over the end and round again', () => {
  const ring = new RingBuffer(5)
  for (let at = 1; at < 40; at += 3) {
    ring.write(count(at, at + 3))
    expect(read(ring, 3)).toEqual([at, at + 1, at + 2])
  }
})

test('what is missing is silence, and is not counted', () => {
  const ring = new RingBuffer(4)
  ring.write(count(1, 3))
  const output = new Float32Array(4).fill(9)
  expect(ring.read(output)).toBe(2)
  expect([...output]).toEqual([1, 2, 0, 0])
})

test('a reply that comes faster than it is heard makes it larger', () => {
  const ring = new RingBuffer(4)
  ring.write(count(1, 4))
  read(ring, 2)
  ring.write(count(4, 20))
  expect(ring.length).toBe(17)
  expect(read(ring, 17)).toEqual([...count(3, 20)])
})

test('a cut leaves a short fade and nothing else', () => {
  const ring = new RingBuffer(8)
  ring.write(count(0, 6))
  read(ring, 6)
  ring.write(new Float32Array(8).fill(1))
  ring.cut(4)
  expect(read(ring, 6)).toEqual([0.75, 0.5, 0.25, 0, 0, 0])
  ring.cut(4)
  expect(ring.length).toBe(0)
})
