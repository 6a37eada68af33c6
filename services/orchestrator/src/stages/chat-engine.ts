/**
 * The embedded chat model: a small Llama-shaped model in transformers.js, one reply at a time, token by token with its key
 * and value cache. It answers when there is no Ollama.
 */
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  env,
  InterruptableStoppingCriteria,
  LogLevel,
  Tensor,
  TextStreamer,
} from '@huggingface/transformers'
import type { PreTrainedModel, PreTrainedTokenizer } from '@huggingface/transformers'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import type { Prompt } from './llm.ts'
import { factsMessages, fencedMessages, withoutTools } from './prompt.ts'
import type { PlainMessage } from './prompt.ts'

export type ChatEngineOptions = {
  /** The folder with config.json, tokenizer.json, tokenizer_config.json (with the chat template) and onnx/. */
  readonly dir: string
  readonly dtype: 'fp32' | 'q8' | 'q4'
  /** `facts`: the form that the demo model was trained on. `fenced`: for models that follow instructions. */
  readonly form: 'facts' | 'fenced'
  readonly threads: number
  /** Tokens of a reply when the prompt doesn't say. */
  readonly maxTokens: number
}

/** The whole reply; its pieces were emitted before. */
export type Written = { readonly text: string; readonly tokens: number; readonly promptTokens: number }

/** On two cores a longer prompt costs seconds before the first word. */
const LONGEST_CONTEXT = 4096

const HELLO: Prompt = { instructions: 'You are a helpful voice assistant.', history: [], memories: [], user: 'Hello.' }
const LONG: Prompt = {
  ...HELLO,
  memories: ['My name is Anna.', 'I live in Prague.', 'My dog is called Rex.'],
  history: [{ user: 'What is two plus three?', reply: 'Two plus three is five.' }],
  user: 'Where do I live?',
}

export function createEngine(options: ChatEngineOptions): Engine<Prompt, Written, string> {
  return new ChatEngine(options)
}

class ChatEngine implements Engine<Prompt, Written, string> {
  readonly maxBatchSize = 1
  readonly warmupInputs: readonly Prompt[] = [HELLO, LONG]
  readonly #options: ChatEngineOptions
  #loaded: Loaded | undefined

  constructor(options: ChatEngineOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    this.#loaded = await loadChat(this.#options)
  }

  async run(batch: readonly Prompt[], run: EngineRun<string>): Promise<Written[]> {
    const outputs: Written[] = []
    for (const [index, prompt] of batch.entries())
      outputs.push(await this.#write(prompt, run.signal, (piece) => run.emit(index, piece)))
    return outputs
  }

  async close(): Promise<void> {
    const loaded = this.#loaded
    this.#loaded = undefined
    await loaded?.model.dispose()
  }

  async #write(prompt: Prompt, signal: AbortSignal, emit: (piece: string) => void): Promise<Written> {
    if (this.#loaded === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    const { model, tokenizer, contextTokens } = this.#loaded
    const maxTokens = Math.min(prompt.maxTokens ?? this.#options.maxTokens, contextTokens >> 1)
    const messages = withoutTools(this.#options.form === 'facts' ? factsMessages(prompt) : fencedMessages(prompt))
    const ids = fitContext(messages, contextTokens - maxTokens, (shorter) => tokenize(tokenizer, shorter))
    return generate({ model, tokenizer, ids, maxTokens, temperature: prompt.temperature ?? 0, signal, emit })
  }
}

type Loaded = {
  readonly model: PreTrainedModel
  readonly tokenizer: PreTrainedTokenizer
  /** Prompt and reply together. */
  readonly contextTokens: number
}

async function loadChat({ dir, dtype, threads }: ChatEngineOptions): Promise<Loaded> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE // on a failed run the library would print its inputs, which are the user's words
  const session = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
  const [model, tokenizer] = await Promise.all([
    AutoModelForCausalLM.from_pretrained(dir, { dtype, local_files_only: true, session_options: session }),
    AutoTokenizer.from_pretrained(dir, { local_files_only: true }),
  ])
  const config: { max_position_embeddings?: unknown } = model.config
  const limit = Number(config.max_position_embeddings ?? LONGEST_CONTEXT)
  return { model, tokenizer, contextTokens: Math.min(limit, LONGEST_CONTEXT) }
}

function tokenize(tokenizer: PreTrainedTokenizer, messages: readonly PlainMessage[]): number[] {
  const ids = tokenizer.apply_chat_template([...messages], {
    add_generation_prompt: true,
    return_tensor: false,
    return_dict: false,
  })
  if (!Array.isArray(ids)) throw new Error('expected a list of token ids from the chat template')
  return ids.flat().map(Number)
}

/**
 * The prompt's token ids, at most `limit`: first the oldest exchanges go, then the memory, then the beginning of the
 * question. The system message and the question's end stay.
 */
function fitContext(
  messages: readonly PlainMessage[],
  limit: number,
  encode: (messages: readonly PlainMessage[]) => number[],
) {
  const [system, ...rest] = messages
  let kept = rest
  for (;;) {
    const ids = encode(system ? [system, ...kept] : kept)
    const question = kept.at(-1)
    if (ids.length <= limit || question === undefined || question.content.length < 2) return ids.slice(-limit)
    const half = { ...question, content: question.content.slice(question.content.length >> 1) }
    kept = kept.length > 1 ? kept.slice(kept.length > 2 ? 2 : 1) : [half]
  }
}

type Generation = {
  readonly model: PreTrainedModel
  readonly tokenizer: PreTrainedTokenizer
  readonly ids: readonly number[]
  readonly maxTokens: number
  readonly temperature: number
  readonly signal: AbortSignal
  readonly emit: (piece: string) => void
}

/** Greedy decoding at temperature 0. Stops at the next token when `signal` aborts, and then throws its reason. */
async function generate(generation: Generation): Promise<Written> {
  const { model, tokenizer, ids, maxTokens, temperature, signal, emit } = generation
  let text = ''
  let tokens = 0
  const streamer = new TextStreamer(tokenizer, {
    skip_prompt: true,
    skip_special_tokens: true,
    callback_function: (piece: string) => {
      if (piece === '') return
      text += piece
      emit(piece)
    },
    token_callback_function: () => (tokens += 1),
  })
  const stopping = new InterruptableStoppingCriteria()
  const stop = (): void => stopping.interrupt()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await model.generate({
      input_ids: asTensor(ids),
      attention_mask: asTensor(ids.map(() => 1)),
      max_new_tokens: maxTokens,
      ...(temperature > 0 ? { do_sample: true, temperature } : { do_sample: false }),
      streamer,
      stopping_criteria: stopping,
    })
  } finally {
    signal.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
  return { text, tokens, promptTokens: ids.length }
}

/** [1, ids] */
const asTensor = (ids: readonly number[]): Tensor =>
  new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
