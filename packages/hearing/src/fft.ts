/**
 * A planned Fourier transform for lengths made of 4s and 5s (400 = 4·4·5·5), in Stockham's order, so that nothing has to
 * be sorted afterwards. Plan once, transform often: no memory is taken per call.
 */

/** X[k] = Σ x[n]·exp(-2πi·nk/length) in place; `re` and `im` are [length]. */
export type Fft = (re: Float64Array, im: Float64Array) => void

/** One pass over the data: `stride` interleaved transforms of `radix · rest` points are cut into `radix` of `rest` each. */
type Pass = {
  readonly radix: number
  readonly rest: number
  readonly stride: number
  /** exp(-2πi·pj/(radix·rest)) as [rest, radix - 1, 2] for p in [0, rest), j in [1, radix). */
  readonly twiddles: Float64Array
}

/** Throws when `length` is not made of 4s and 5s. */
export function planFft(length: number): Fft {
  const passes = planPasses(length)
  const [workRe, workIm] = [new Float64Array(length), new Float64Array(length)]
  return (re, im) => {
    for (const [at, pass] of passes.entries()) {
      const butterfly = pass.radix === 4 ? pass4 : pass5
      if (at % 2 === 0) butterfly(pass, re, im, workRe, workIm)
      else butterfly(pass, workRe, workIm, re, im)
    }
    if (passes.length % 2 === 0) return
    re.set(workRe)
    im.set(workIm)
  }
}

function planPasses(length: number): Pass[] {
  const passes: Pass[] = []
  for (let [left, stride] = [length, 1]; left > 1;) {
    const radix = left % 4 === 0 ? 4 : 5
    const rest = left / radix
    if (!Number.isInteger(rest)) throw new Error(`expected a length made of 4s and 5s, got ${length}`)
    passes.push({ radix, rest, stride, twiddles: twiddleTable(radix, rest) })
    left = rest
    stride *= radix
  }
  return passes
}

function twiddleTable(radix: number, rest: number): Float64Array {
  const table: number[] = []
  for (let p = 0; p < rest; p++)
    for (let j = 1; j < radix; j++) {
      const angle = (-2 * Math.PI * p * j) / (radix * rest)
      table.push(Math.cos(angle), Math.sin(angle))
    }
  return Float64Array.from(table)
}

// `?? 0` below is for the type checker: every index is inside its array.

function pass4(
  { rest, stride, twiddles: w }: Pass,
  xr: Float64Array,
  xi: Float64Array,
  yr: Float64Array,
  yi: Float64Array,
) {
  const far = stride * rest
  for (let p = 0; p < rest; p++) {
    const t = 6 * p
    const w1r = w[t] ?? 0
    const w1i = w[t + 1] ?? 0
    const w2r = w[t + 2] ?? 0
    const w2i = w[t + 3] ?? 0
    const w3r = w[t + 4] ?? 0
    const w3i = w[t + 5] ?? 0
    for (let q = 0; q < stride; q++) {
      const at = q + stride * p
      const ar = xr[at] ?? 0
      const ai = xi[at] ?? 0
      const br = xr[at + far] ?? 0
      const bi = xi[at + far] ?? 0
      const cr = xr[at + 2 * far] ?? 0
      const ci = xi[at + 2 * far] ?? 0
      const dr = xr[at + 3 * far] ?? 0
      const di = xi[at + 3 * far] ?? 0
      const s0r = ar + cr
      const s0i = ai + ci
      const d0r = ar - cr
      const d0i = ai - ci
      const s1r = br + dr
      const s1i = bi + di
      const d1r = bi - di
      const d1i = dr - br
      const to = q + 4 * stride * p
      yr[to] = s0r + s1r
      yi[to] = s0i + s1i
      const r1 = d0r + d1r
      const i1 = d0i + d1i
      yr[to + stride] = r1 * w1r - i1 * w1i
      yi[to + stride] = r1 * w1i + i1 * w1r
      const r2 = s0r - s1r
      const i2 = s0i - s1i
      yr[to + 2 * stride] = r2 * w2r - i2 * w2i
      yi[to + 2 * stride] = r2 * w2i + i2 * w2r
      const r3 = d0r - d1r
      const i3 = d0i - d1i
      yr[to + 3 * stride] = r3 * w3r - i3 * w3i
      yi[to + 3 * stride] = r3 * w3i + i3 * w3r
    }
  }
}

const [COS1, COS2] = [Math.cos((2 * Math.PI) / 5), Math.cos((4 * Math.PI) / 5)]
const [SIN1, SIN2] = [Math.sin((2 * Math.PI) / 5), Math.sin((4 * Math.PI) / 5)]

function pass5(
  { rest, stride, twiddles: w }: Pass,
  xr: Float64Array,
  xi: Float64Array,
  yr: Float64Array,
  yi: Float64Array,
) {
  const far = stride * rest
  for (let p = 0; p < rest; p++) {
    const t = 8 * p
    const w1r = w[t] ?? 0
    const w1i = w[t + 1] ?? 0
    const w2r = w[t + 2] ?? 0
    const w2i = w[t + 3] ?? 0
    const w3r = w[t + 4] ?? 0
    const w3i = w[t + 5] ?? 0
    const w4r = w[t + 6] ?? 0
    const w4i = w[t + 7] ?? 0
    for (let q = 0; q < stride; q++) {
      const at = q + stride * p
      const ar = xr[at] ?? 0
      const ai = xi[at] ?? 0
      const br = xr[at + far] ?? 0
      const bi = xi[at + far] ?? 0
      const cr = xr[at + 2 * far] ?? 0
      const ci = xi[at + 2 * far] ?? 0
      const dr = xr[at + 3 * far] ?? 0
      const di = xi[at + 3 * far] ?? 0
      const er = xr[at + 4 * far] ?? 0
      const ei = xi[at + 4 * far] ?? 0
      const s1r = br + er
      const s1i = bi + ei
      const d1r = br - er
      const d1i = bi - ei
      const s2r = cr + dr
      const s2i = ci + di
      const d2r = cr - dr
      const d2i = ci - di
      const e1r = ar + COS1 * s1r + COS2 * s2r
      const e1i = ai + COS1 * s1i + COS2 * s2i
      const e2r = ar + COS2 * s1r + COS1 * s2r
      const e2i = ai + COS2 * s1i + COS1 * s2i
      const o1r = SIN1 * d1i + SIN2 * d2i
      const o1i = -SIN1 * d1r - SIN2 * d2r
      const o2r = SIN2 * d1i - SIN1 * d2i
      const o2i = SIN1 * d2r - SIN2 * d1r
      const to = q + 5 * stride * p
      yr[to] = ar + s1r + s2r
      yi[to] = ai + s1i + s2i
      const r1 = e1r + o1r
      const i1 = e1i + o1i
      const r2 = e2r + o2r
      const i2 = e2i + o2i
      const r3 = e2r - o2r
      const i3 = e2i - o2i
      const r4 = e1r - o1r
      const i4 = e1i - o1i
      yr[to + stride] = r1 * w1r - i1 * w1i
      yi[to + stride] = r1 * w1i + i1 * w1r
      yr[to + 2 * stride] = r2 * w2r - i2 * w2i
      yi[to + 2 * stride] = r2 * w2i + i2 * w2r
      yr[to + 3 * stride] = r3 * w3r - i3 * w3i
      yi[to + 3 * stride] = r3 * w3i + i3 * w3r
      yr[to + 4 * stride] = r4 * w4r - i4 * w4i
      yi[to + 4 * stride] = r4 * w4i + i4 * w4r
    }
  }
}
