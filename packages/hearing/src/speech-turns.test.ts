import { describe, expect, test } from 'vitest'
import { patienceMs, SpeechTurns } from './speech-turns.ts'
import type { TurnDetection } from './speech-turns.ts'

const FRAME = 512
const VAD: TurnDetection = { type: 'server_vad', threshold: 0.5, prefixPaddingMs: 0, silenceMs: 500 }
const SEMANTIC: TurnDetection = { type: 'semantic_vad', eagerness: 'medium' }

/** `###` frames of speech, `...` of silence, `-` between the thresholds, `~` next to nothing: `[type, frame]` of what is heard. */
function heard(frames: string, detection: TurnDetection = VAD, answers: readonly (number | null)[] = []) {
  const turns = new SpeechTurns(detection)
  const left = [...answers]
  return Array.from(frames, (frame) => {
    if (turns.isUndecided && left.length > 0) turns.decide(left.shift() ?? null)
    return turns.hear({ '#': 0.9, '.': 0.1, '-': 0.45, '~': 0.005 }[frame] ?? NaN)
  }).flatMap((event) => (event ? [[event.type, event.atSample / FRAME]] : []))
}

const silence = (frames: number) => '.'.repeat(frames)

describe('server_vad', () => {
  const table: [string, string, Partial<TurnDetection>, unknown[]][] = [
    [
      'a turn starts where speech did, and ends after its silence',
      `..####${silence(16)}`,
      {},
      [
        ['started', 2],
        ['paused', 13],
        ['stopped', 22],
      ],
    ],
    ['a single frame is a click', `..#..#..#....`, {}, []],
    [
      'a short gap is no pause',
      `##${silence(6)}##${silence(16)}`,
      {},
      [
        ['started', 0],
        ['paused', 17],
        ['stopped', 26],
      ],
    ],
    [
      'speech after a pause goes on with the turn',
      `##${silence(9)}##${silence(16)}`,
      {},
      [
        ['started', 0],
        ['paused', 9],
        ['resumed', 11],
        ['paused', 20],
        ['stopped', 29],
      ],
    ],
    [
      'who goes on in the very last frame is let go on',
      `##${silence(15)}##..`,
      {},
      [
        ['started', 0],
        ['paused', 9],
        ['resumed', 17],
      ],
    ],
    [
      'a click in the last frame prolongs it by that frame',
      `##${silence(15)}#..`,
      {},
      [
        ['started', 0],
        ['paused', 9],
        ['stopped', 19],
      ],
    ],
    [
      'a very low threshold is no reason to take silence for speech',
      `##${'~'.repeat(16)}`,
      { threshold: 0.05 },
      [
        ['started', 0],
        ['paused', 9],
        ['stopped', 18],
      ],
    ],
    [
      'a click in a pause does not prolong it',
      `##${silence(8)}#${silence(7)}`,
      {},
      [
        ['started', 0],
        ['paused', 9],
        ['stopped', 18],
      ],
    ],
    ['between the thresholds speech goes on', `##--------------------`, {}, [['started', 0]]],
    ['between the thresholds no speech begins', `----------------------`, {}, []],
    [
      'in a pause it takes the upper threshold to resume',
      `##${silence(8)}----------`,
      {},
      [
        ['started', 0],
        ['paused', 9],
        ['stopped', 18],
      ],
    ],
    [
      '200 ms end a turn without a pause before',
      `##${silence(7)}`,
      { silenceMs: 200 },
      [
        ['started', 0],
        ['stopped', 9],
      ],
    ],
    ['the threshold is the one asked for', `..####..`, { threshold: 0.95 }, []],
    ['padding is taken off the start', `${silence(20)}##`, { prefixPaddingMs: 320 }, [['started', 10]]],
    ['but not before the beginning', `..##`, { prefixPaddingMs: 320 }, [['started', 0]]],
    [
      'nor before the end of the turn before',
      `##${silence(7)}.##`,
      { prefixPaddingMs: 320, silenceMs: 200 },
      [
        ['started', 0],
        ['stopped', 9],
        ['started', 9],
      ],
    ],
  ]
  test.each(table)('%s', (_, frames, change, events) => {
    expect(heard(frames, { ...VAD, ...change } as TurnDetection)).toEqual(events)
  })

  test('where speech ended is told with the pause and the end', () => {
    const turns = new SpeechTurns(VAD)
    const events = Array.from(`###${silence(16)}`, (frame) => turns.hear(frame === '#' ? 1 : 0)).filter(Boolean)
    expect(events.slice(1)).toMatchObject([
      { speechEndSample: 3 * FRAME },
      { speechEndSample: 3 * FRAME, decidedBy: 'silence' },
    ])
  })
})

describe('semantic_vad', () => {
  const turn = (silentFrames: number) => `##${silence(silentFrames)}`

  test('who has surely ended waits no longer', () => {
    expect(heard(turn(20), SEMANTIC, [0.9])).toEqual([
      ['started', 0],
      ['paused', 9],
      ['stopped', 10],
    ])
  })

  test('who has surely not may be silent for seconds, but not for ever', () => {
    expect(heard(turn(120), SEMANTIC, [0])).toEqual([
      ['started', 0],
      ['paused', 9],
    ])
    expect(heard(turn(130), SEMANTIC, [0])).toEqual([
      ['started', 0],
      ['paused', 9],
      ['stopped', 127],
    ])
  })

  test('each pause has a question of its own, and the answer to the one before is forgotten', () => {
    const two = `##${silence(8)}##${silence(20)}`
    expect(heard(two, SEMANTIC, [0.1, 0.9])).toEqual([
      ['started', 0],
      ['paused', 9],
      ['resumed', 10],
      ['paused', 19],
      ['stopped', 20],
    ])
    expect(heard(two, SEMANTIC, [0.1, 0.1]).at(-1)).toEqual(['paused', 19])
  })

  test('without a model silence decides, and says so', () => {
    expect(heard(turn(30), SEMANTIC, [null])).toEqual([
      ['started', 0],
      ['paused', 9],
      ['stopped', 27],
    ])
    const decidedBy = [0.9, null].map((answer) => {
      const turns = new SpeechTurns(SEMANTIC)
      const events = Array.from(turn(30), (frame) => {
        turns.decide(answer)
        return turns.hear(frame === '#' ? 1 : 0)
      })
      return events.find((event) => event?.type === 'stopped')
    })
    expect(decidedBy).toMatchObject([{ decidedBy: 'turn_end' }, { decidedBy: 'silence' }])
  })

  test('the eager wait less than the patient, and the surer the less', () => {
    for (const probability of [0, 0.2, 0.5, null]) {
      const [high, medium, low] = (['high', 'medium', 'low'] as const).map((each) => patienceMs(each, probability))
      expect([high, medium, low].toSorted((a = 0, b = 0) => a - b)).toEqual([high, medium, low])
      expect(patienceMs('auto', probability)).toBe(medium)
    }
    const waits = [0, 0.1, 0.3, 0.45, 0.5, 1].map((probability) => patienceMs('medium', probability))
    expect(waits).toEqual(waits.toSorted((a, b) => b - a))
    expect([waits.at(0), waits.at(-1)]).toEqual([4000, 200])
    expect([patienceMs('low', 0), patienceMs('high', 0)]).toEqual([8000, 2000])
  })

  test('an answer that nobody waits for changes nothing', () => {
    const turns = new SpeechTurns(SEMANTIC)
    turns.decide(1)
    const events = Array.from(turn(20), (frame) => turns.hear(frame === '#' ? 1 : 0)?.type).filter(Boolean)
    expect(events).toEqual(['started', 'paused'])
  })
})

test('a turn that pauses when a model is to tell of its end is asked about then', () => {
  const turns = new SpeechTurns(VAD)
  const hear = (frames: string) => Array.from(frames, (frame) => turns.hear(frame === '#' ? 0.9 : 0.1)?.type)
  expect(hear(`####${silence(7)}`).filter(Boolean)).toEqual(['started', 'paused'])
  turns.configure(SEMANTIC)
  expect(hear('.')).toEqual(['paused'])
  turns.decide(1)
  expect(hear('.')).toEqual(['stopped'])
})

test('what is forgotten begins no turn, and what comes after does', () => {
  const turns = new SpeechTurns({ ...VAD, prefixPaddingMs: 500 })
  const feed = (frames: string) => Array.from(frames, (frame) => turns.hear(frame === '#' ? 1 : 0)).filter(Boolean)
  feed('####')
  turns.forget(6 * FRAME)
  expect(turns.startSample).toBeNull()
  expect(feed('##')).toEqual([])
  expect(feed('.##')).toEqual([{ type: 'started', atSample: 6 * FRAME }])
})

test('sound that nobody heard is neither silence nor speech', () => {
  const turns = new SpeechTurns(VAD)
  const feed = (frames: string) => Array.from(frames, (frame) => turns.hear(frame === '#' ? 1 : 0)).filter(Boolean)
  feed('##...')
  turns.skipTo(105 * FRAME)
  expect(feed('...')).toEqual([])
  expect(feed('.')).toMatchObject([{ type: 'paused', atSample: 109 * FRAME, speechEndSample: 102 * FRAME }])
})

test('times never go back, whatever is heard', () => {
  let seed = 1
  const random = () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
  for (let run = 0; run < 200; run++) {
    const turns = new SpeechTurns(
      run % 2 === 0 ? { ...VAD, silenceMs: 100 + 600 * random(), prefixPaddingMs: 1000 * random() } : SEMANTIC,
    )
    let [last, expected]: [number, readonly string[]] = [0, ['started']]
    let level = 0
    for (let frame = 0; frame < 500; frame++) {
      if (random() < 0.1) level = random()
      if (random() < 0.02) {
        turns.forget(turns.position + Math.round(FRAME * random()))
        expected = ['started']
      }
      if (random() < 0.5) turns.decide(random() < 0.2 ? null : random())
      const event = turns.hear(Math.min(1, Math.max(0, level + 0.3 * (random() - 0.5))))
      if (!event) continue
      expect(expected).toContain(event.type)
      expect(event.atSample).toBeGreaterThanOrEqual(last)
      expect(event.atSample).toBeLessThanOrEqual(turns.position)
      last = event.atSample
      const next = {
        started: ['paused', 'stopped'],
        paused: ['resumed', 'stopped'],
        resumed: ['paused', 'stopped'],
        stopped: ['started'],
      }
      expected = next[event.type]
    }
  }
})
