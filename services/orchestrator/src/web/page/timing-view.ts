/** The waterfall of a turn, and the plot of how long the turns of this session let one wait. */
import { byId, draw, make, place } from './dom.ts'
import { plotOf, quantiles } from './latency.ts'
import type { Wait } from './latency.ts'
import type { TurnReport } from './server-events.ts'
import { duration, layOut, titleOf } from './waterfall.ts'
import type { Layout, Row } from './waterfall.ts'

export function showWaterfall({ waterfall, timings, models, degraded, status }: TurnReport): void {
  const layout = layOut(waterfall)
  const chart = make('div', { class: 'chart' }, axisOf(layout), ...layout.rows.map(rowOf))
  const firstAudioMs = timings['firstAudioMs']
  if (firstAudioMs !== undefined)
    chart.append(
      make('div', { class: 'overlay' }, place(make('div', { class: 'marker' }), firstAudioMs / layout.totalMs)),
    )
  const figures = figuresOf([
    ['First sound', firstAudioMs],
    [status === 'completed' ? 'Whole turn' : 'Until the cut', timings['totalMs'] ?? layout.totalMs],
    ['Gaps', layout.idleMs],
  ])
  const names = Object.values(models ?? {}).filter((name) => name !== null)
  const facts = make('div', { class: 'facts' })
  if (names.length > 0) facts.append(make('p', {}, names.join(' · ')))
  if (status !== 'completed') facts.append(make('p', {}, CUT_WORDS[status]))
  if (degraded.length > 0) facts.append(make('p', {}, `Went on without: ${degraded.join(', ')}`))
  byId('waterfall', HTMLDivElement).replaceChildren(chart, figures, facts)
}

const CUT_WORDS = {
  running: 'Not over yet. Striped: still at work.',
  cancelled: 'This turn was cut off. Striped: what was still at work then.',
  failed: 'This turn failed. Striped: what was still at work then.',
}

const axisOf = ({ ticks }: Layout): HTMLElement =>
  make(
    'div',
    { class: 'axis', 'aria-hidden': 'true' },
    ...ticks.map(({ ms, share }) => place(make('span', {}, duration(ms)), share)),
  )

const rowOf = ({ stage, bars, ms }: Row): HTMLElement =>
  make(
    'div',
    { class: 'row' },
    make('span', { class: 'stage' }, titleOf(stage)),
    make(
      'span',
      { class: 'track', 'aria-hidden': 'true' },
      ...bars.map(({ startShare, widthShare, isCut }) =>
        place(make('span', { class: isCut ? 'bar cut' : 'bar' }), startShare, widthShare),
      ),
    ),
    make('span', { class: 'ms' }, duration(ms)),
  )

function figuresOf(figures: readonly (readonly [title: string, ms: number | undefined])[]): HTMLElement {
  const known = figures.flatMap(([title, ms]) =>
    ms === undefined ? [] : [make('div', {}, make('dt', {}, title), make('dd', {}, duration(ms)))],
  )
  return make('dl', { class: 'figures' }, ...known)
}

const BOX = { width: 320, height: 130 }
const LEFT = 44

export function showLatency(waits: readonly Wait[]): void {
  const { points, lines, medianY } = plotOf(waits, BOX)
  const middle = quantiles(waits)
  if (!middle) return
  const title = `${waits.length} turns: median ${duration(middle.p50)}, 95th percentile ${duration(middle.p95)}`
  const plot = draw(
    'svg',
    { class: 'plot', viewBox: `0 -8 ${BOX.width + LEFT + 8} ${BOX.height + 16}`, role: 'img', 'aria-label': title },
    ...lines.flatMap(({ ms, y }) => [
      draw('line', { class: 'grid', x1: `${LEFT}`, x2: `${LEFT + BOX.width}`, y1: `${y}`, y2: `${y}` }),
      draw('text', { x: `${LEFT - 8}`, y: `${y + 4}`, 'text-anchor': 'end' }, duration(ms)),
    ]),
    draw('polyline', { class: 'path', points: points.map(({ x, y }) => `${LEFT + x},${y}`).join(' ') }),
    draw('line', { class: 'median', x1: `${LEFT}`, x2: `${LEFT + BOX.width}`, y1: `${medianY}`, y2: `${medianY}` }),
    ...points.map(({ x, y, ms, isSpoken }) =>
      draw(
        'circle',
        { cx: `${LEFT + x}`, cy: `${y}`, r: '5', class: isSpoken ? 'spoken' : 'typed' },
        draw('title', {}, `${duration(ms)}, ${isSpoken ? 'spoken' : 'typed'}`),
      ),
    ),
  )
  const figures = figuresOf([
    ['Last', waits.at(-1)?.ms],
    ['Median', middle.p50],
    ['95 %', middle.p95],
  ])
  const key = make(
    'p',
    { class: 'facts' },
    'To the first sound here. Filled: from the end of your speech. Hollow: typed.',
  )
  byId('latency', HTMLDivElement).replaceChildren(plot, figures, key)
}
