/**
 * The border between serving and inference. An engine wraps one model in one ML library and knows nothing of
 * transport, queues or threads; everything else in Hearth knows an engine only by this file, which imports nothing.
 * The interface follows text-embeddings-inference's `Backend` trait: the engine states its batch size, the batcher obeys.
 */

/** What one call of `run` is given beside its inputs. */
export interface EngineRun<Piece = never> {
  /** Aborted when nobody waits for this batch any more; an engine that works in steps checks it between them. */
  readonly signal: AbortSignal
  /** Sends a part of row `index`'s output early (a token, a segment). Rows need not take turns. */
  emit(index: number, piece: Piece): void
}

export interface Engine<In, Out, Piece = never> {
  /** Rows that one `run` takes at most; 1 makes the batcher a fair mutex. */
  readonly maxBatchSize: number
  /** Inputs of the shapes real requests have (short, long), short first: the first one is run before "ready", and of a quick engine later each at batch 1 and at `maxBatchSize`. */
  readonly warmupInputs: readonly In[]
  /** What else of it is cold, in parts of a few hundred milliseconds at most: run after "ready", between requests. */
  readonly warmupParts?: readonly (() => Promise<unknown>)[]
  /** Reads the weights and builds the sessions. Called once. */
  load(): Promise<void>
  /** Output i belongs to input i. Inputs were validated before: a throw is the engine's fault, never one row's. */
  run(batch: readonly In[], run: EngineRun<Piece>): Promise<Out[]>
  close(): Promise<void>
}

/** What an engine's file exports; `options` crossed a thread border, so it is plain data. */
export interface EngineModule<Options, In, Out, Piece = never> {
  createEngine(options: Options): Engine<In, Out, Piece>
}
