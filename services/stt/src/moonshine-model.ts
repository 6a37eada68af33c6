/**
 * A Moonshine export (arXiv 2410.15608): samples go into its encoder as they are, however many, and its decoder writes English without
 * tokens for languages, tasks or times.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tensor } from 'onnxruntime-node'
import * as z from 'zod'
import type { Decoder } from './decoding.ts'
import { readTokenSettings } from './generation-settings.ts'
import { loadSeq2Seq } from './seq2seq.ts'
import type { Encoded, Seq2Seq, SpeechModelFiles } from './seq2seq.ts'

export type MoonshineModel = Decoder &
  Pick<Seq2Seq, 'textOf' | 'close'> & {
    /** Tokens that the decoder has places for, the start among them. */
    readonly places: number
    /** `samples` as [rows, length]. The rows share nothing, but their length: the first layer is normalised over all of it, so no mask could hide a rest. */
    encode(samples: Float32Array, rows: number, length: number): Promise<Encoded>
  }

const ModelShape = z.object({ max_position_embeddings: z.number() })

/** Throws when a file is missing or not of the expected form. */
export async function loadMoonshine(files: SpeechModelFiles): Promise<MoonshineModel> {
  const [{ encode, ...rest }, shape, settings] = await Promise.all([
    loadSeq2Seq('input_values', files),
    readShape(files.dir),
    readTokenSettings(files.dir),
  ])
  return {
    ...rest,
    settings,
    noSpeechToken: null,
    places: shape.max_position_embeddings,
    encode: (samples, rows, length) => encode(new Tensor('float32', samples, [rows, length])),
  }
}

const readShape = async (dir: string): Promise<z.infer<typeof ModelShape>> =>
  ModelShape.parse(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')))
