/**
 * Moonshine of the real shapes with random weights (arXiv 2410.15608; `MoonshineForConditionalGeneration` of transformers, against which
 * models/train/moonshine_check.py holds it), in the layout and with the names of the hub's exports. Made on demand into an ignored folder.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cachePorts, Layers, ofSound, range, withPast } from './layers.ts'
import { moonshineConfigs, MOONSHINE_SHAPES, THETA } from './moonshine-configs.ts'
import type { MoonshineShape } from './moonshine-configs.ts'

/** The first three layers: samples of one position, and how far each of them looks and steps. */
const CONVOLUTIONS = [
  { kernel: 127, stride: 64 },
  { kernel: 7, stride: 3 },
  { kernel: 3, stride: 2 },
] as const
const SAMPLES_PER_POSITION = 384

/** The folder of the model, made if it is not there. `isMasked`: the export asks for a mask over the sound, as those of optimum 2 do. */
export async function randomMoonshine(
  folder: string,
  size: keyof typeof MOONSHINE_SHAPES,
  isMasked = false,
): Promise<string> {
  const dir = join(folder, `moonshine-${size}${isMasked ? '-masked' : ''}`)
  if (existsSync(join(dir, 'tokenizer_config.json'))) return dir
  const shape = MOONSHINE_SHAPES[size]
  await mkdir(join(dir, 'onnx'), { recursive: true })
  await writeFile(join(dir, 'onnx/encoder_model.onnx'), encoder(shape, isMasked))
  await writeFile(join(dir, 'onnx/decoder_model_merged.onnx'), decoder(shape, isMasked))
  for (const [name, value] of Object.entries(moonshineConfigs(shape)))
    await writeFile(join(dir, name), JSON.stringify(value))
  return dir
}

/** Layers whose weights keep the size of what passes, so that a text depends on its sound and not only on the word before. */
class MoonshineLayers extends Layers {
  readonly #rotary: number

  constructor(shape: MoonshineShape) {
    super(shape)
    this.#rotary = 2 * Math.floor(((shape.width / shape.heads) * shape.rotary) / 2)
  }

  dense(x: string, from: number, to: number, name: string, isBiased = false): string {
    return this.linear(x, from, to, { name, isBiased, deviation: from ** -0.5 })
  }

  scaled(x: string, name: string, output?: string): string {
    return this.norm(x, { name, isBiased: false, ...(output !== undefined && { output }) })
  }

  conv(x: string, at: 0 | 1 | 2, [from, to]: readonly [number, number]): string {
    const { kernel, stride } = CONVOLUTIONS[at]
    const name = `model.encoder.conv${at + 1}`
    const deviation = (from * kernel) ** -0.5
    const weight = this.weight([to, from, kernel], { name: `${name}.weight`, deviation })
    const bias = at === 0 ? [] : [this.weight([to], { name: `${name}.bias`, deviation })]
    return this.graph.op('Conv', [x, weight, ...bias], { strides: [stride] })
  }

  /** Cosines and sines of the places: [places, rotary], each twice, as neighbours share an angle. */
  angles(places: string): readonly [cos: string, sin: string] {
    const { graph } = this
    const rotary = this.#rotary
    const frequencies = Float32Array.from({ length: rotary }, (_, at) => THETA ** (-(at - (at % 2)) / rotary))
    const column = graph.op('Unsqueeze', [graph.op('Cast', [places], { to: 1 }), graph.ints(1)])
    const turned = graph.op('Mul', [column, graph.constant(frequencies, [1, rotary])])
    return [graph.op('Cos', [turned]), graph.op('Sin', [turned])]
  }

  /** [rows, heads, tokens, width of a head], its first numbers turned in pairs. */
  turn(x: string, [cos, sin]: readonly [string, string]): string {
    const { graph } = this
    const rotary = this.#rotary
    const part = (from: number, to: number, step: number, of = x) =>
      graph.op('Slice', [of, graph.ints(from), graph.ints(to), graph.ints(3), graph.ints(step)])
    const turning = part(0, rotary, 1)
    const pairs = [graph.op('Neg', [part(1, rotary, 2, turning)]), part(0, rotary, 2, turning)]
    const stacked = graph.op(
      'Concat',
      pairs.map((each) => graph.op('Unsqueeze', [each, graph.ints(4)])),
      { axis: 4 },
    )
    const quarter = graph.op('Reshape', [stacked, graph.ints(0, 0, 0, rotary)])
    const turned = this.add(graph.op('Mul', [turning, cos]), graph.op('Mul', [quarter, sin]))
    return graph.op('Concat', [turned, part(rotary, Number.MAX_SAFE_INTEGER, 1)], { axis: 3 })
  }

  /** Query, key and value of `name`. */
  questions(x: string, name: string): readonly [q: string, k: string, v: string] {
    const { width } = this.shape
    const made = (part: string) => this.split(this.dense(x, width, width, `${name}.${part}_proj`))
    return [made('q'), made('k'), made('v')]
  }

  answer(q: string, k: string, v: string, name: string, mask?: string): string {
    const { width } = this.shape
    return this.dense(this.attend(q, k, v, mask), width, width, `${name}.o_proj`)
  }

  /** -1e9 where `mask` [rows, samples] is 0, as [rows, 1, 1, positions]. */
  soundMask(mask: string, positions: string): string {
    const { graph } = this
    const end = graph.ints(Number.MAX_SAFE_INTEGER)
    const coarse = graph.op('Slice', [mask, graph.ints(0), end, graph.ints(1), graph.ints(SAMPLES_PER_POSITION)])
    const length = graph.op('Unsqueeze', [positions, graph.ints(0)])
    const cut = graph.op('Slice', [coarse, graph.ints(0), length, graph.ints(1)])
    const missing = graph.op('Sub', [graph.scalar(1, 'float'), graph.op('Cast', [cut], { to: 1 })])
    return graph.op('Unsqueeze', [graph.op('Mul', [missing, graph.scalar(-1e9, 'float')]), graph.ints(1, 2)])
  }
}

function encoder(shape: MoonshineShape, isMasked: boolean): Uint8Array {
  const layers = new MoonshineLayers(shape)
  const { graph } = layers
  const { width } = shape
  let x = graph.op('Tanh', [layers.conv(graph.op('Unsqueeze', ['input_values', graph.ints(1)]), 0, [1, width])])
  x = normaliseAll(layers, x)
  x = layers.gelu(layers.conv(x, 1, [width, 2 * width]))
  x = graph.op('Transpose', [layers.gelu(layers.conv(x, 2, [2 * width, width]))], { perm: [0, 2, 1] })
  const positions = layers.size(x, 1)
  const angles = layers.angles(range(graph, positions))
  const mask = isMasked ? layers.soundMask('attention_mask', positions) : undefined
  for (let layer = 0; layer < shape.layers; layer++) {
    const name = `model.encoder.layers.${layer}`
    const [q, k, v] = layers.questions(layers.scaled(x, `${name}.input_layernorm`), `${name}.self_attn`)
    const heard = layers.answer(layers.turn(q, angles), layers.turn(k, angles), v, `${name}.self_attn`, mask)
    x = layers.add(x, heard)
    const y = layers.scaled(x, `${name}.post_attention_layernorm`)
    const inner = layers.gelu(layers.dense(y, width, 4 * width, `${name}.mlp.fc1`, true))
    x = layers.add(x, layers.dense(inner, 4 * width, width, `${name}.mlp.fc2`, true))
  }
  layers.scaled(x, 'model.encoder.layer_norm', 'last_hidden_state')
  return graph.model(
    {
      input_values: ['float', ['batch_size', 'num_samples']],
      ...(isMasked && { attention_mask: ['int64', ['batch_size', 'num_samples']] as const }),
    },
    { last_hidden_state: ['float', ['batch_size', 'encoder_sequence_length', width]] },
  )
}

/** `GroupNorm` with one group: over all of a row, its whole length too. */
function normaliseAll(layers: MoonshineLayers, x: string): string {
  const { graph } = layers
  const { width } = layers.shape
  const flat = graph.op('Reshape', [x, graph.ints(0, 1, -1)])
  const ones = [layers.filled(1, [1]), layers.filled(0, [1])]
  const normal = graph.op('InstanceNormalization', [flat, ...ones], { epsilon: { float: 1e-5 } })
  const shaped = graph.op('Reshape', [normal, graph.op('Shape', [x])])
  const scale = layers.filled(1, [width, 1], 'model.encoder.groupnorm.weight')
  return layers.add(graph.op('Mul', [shaped, scale]), layers.filled(0, [width, 1], 'model.encoder.groupnorm.bias'))
}

function decoder(shape: MoonshineShape, isMasked: boolean): Uint8Array {
  const layers = new MoonshineLayers(shape)
  const { graph } = layers
  const { width, heads, vocabulary } = shape
  const condition = graph.op('Squeeze', ['use_cache_branch', graph.ints(0)])
  const counted = graph.op('Cast', [condition], { to: 7 })
  const past = graph.op('Mul', [layers.size('past_key_values.0.decoder.key', 2), counted])
  const fresh = layers.size('input_ids', 1)
  const places = graph.op('Add', [range(graph, fresh), past])
  const table = layers.weight([vocabulary, width], { name: 'model.decoder.embed_tokens.weight', deviation: 0.3 })
  const context = {
    condition,
    angles: layers.angles(places),
    mask: layers.causalMask(places, past, fresh),
    soundMask: isMasked
      ? layers.soundMask('encoder_attention_mask', layers.size('encoder_hidden_states', 1))
      : undefined,
  }
  let x = graph.op('Gather', [table, 'input_ids'])
  for (let layer = 0; layer < shape.layers; layer++) x = decoderLayer(layers, x, { ...context, layer })
  const last = layers.scaled(x, 'model.decoder.norm')
  graph.op('MatMul', [last, graph.op('Transpose', [table], { perm: [1, 0] })], {}, 'logits')
  const sizes = { layers: shape.layers, heads, headWidth: width / heads }
  return graph.model(
    {
      input_ids: ['int64', ['batch_size', 'decoder_sequence_length']],
      encoder_hidden_states: ['float', ['batch_size', 'encoder_sequence_length', width]],
      ...(isMasked && { encoder_attention_mask: ['int64', ['batch_size', 'num_samples']] as const }),
      ...cachePorts('past_key_values', 'past_decoder_sequence_length', sizes),
      use_cache_branch: ['bool', [1]],
    },
    {
      logits: ['float', ['batch_size', 'decoder_sequence_length', vocabulary]],
      ...cachePorts('present', 'total_decoder_sequence_length', sizes),
    },
  )
}

type DecoderContext = {
  readonly layer: number
  readonly condition: string
  readonly angles: readonly [string, string]
  readonly mask: string
  readonly soundMask: string | undefined
}

function decoderLayer(
  layers: MoonshineLayers,
  x: string,
  { layer, condition, angles, mask, soundMask }: DecoderContext,
): string {
  const { graph } = layers
  const { width, heads } = layers.shape
  const name = `model.decoder.layers.${layer}`
  const [q, k, v] = layers.questions(layers.scaled(x, `${name}.input_layernorm`), `${name}.self_attn`)
  const turned = layers.turn(k, angles)
  const own = withPast(graph, { layer, condition }, [turned, v])
  let z = layers.add(x, layers.answer(layers.turn(q, angles), ...own, `${name}.self_attn`, mask))
  const weights = ['k', 'v'].map((part) =>
    layers.weight([width, width], { name: `${name}.encoder_attn.${part}_proj.weight`, deviation: width ** -0.5 }),
  )
  const sound = ofSound(layers, { layer, condition }, (branch) =>
    weights.map((weight) => {
      const made = branch.op('MatMul', ['encoder_hidden_states', weight])
      const shaped = branch.op('Reshape', [made, branch.ints(0, 0, heads, width / heads)])
      return branch.op('Transpose', [shaped], { perm: [0, 2, 1, 3] })
    }),
  )
  const y = layers.scaled(z, `${name}.post_attention_layernorm`)
  const question = layers.split(layers.dense(y, width, width, `${name}.encoder_attn.q_proj`))
  z = layers.add(z, layers.answer(question, ...sound, `${name}.encoder_attn`, soundMask))
  return layers.add(z, gated(layers, layers.scaled(z, `${name}.final_layernorm`), `${name}.mlp`))
}

/** The second half opens and closes the first. */
function gated(layers: MoonshineLayers, x: string, name: string): string {
  const { graph } = layers
  const { width } = layers.shape
  const both = layers.dense(x, width, 8 * width, `${name}.fc1`, true)
  const half = (at: number) =>
    graph.op('Slice', [both, graph.ints(at * 4 * width), graph.ints((at + 1) * 4 * width), graph.ints(2)])
  const gate = half(1)
  const open = graph.op('Mul', [gate, graph.op('Sigmoid', [gate])])
  return layers.dense(graph.op('Mul', [open, half(0)]), 4 * width, width, `${name}.fc2`, true)
}
