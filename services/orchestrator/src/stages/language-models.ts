/**
 * The language models that the settings name, as one chain. The embedded model costs memory and seconds, so it is loaded only
 * once no model before it can answer.
 */
import type { Model } from '@hearth/shared/model'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from '../config.ts'
import type { Written } from './chat-engine.ts'
import { createEmbeddedChat } from './embedded.ts'
import { firstOf } from './llm-chain.ts'
import type { ChainOptions, LanguageModelChain } from './llm-chain.ts'
import type { LanguageModel, LanguageModelEntry, Prompt } from './llm.ts'
import { OllamaModel } from './ollama.ts'
import { OpenAiChat } from './openai-chat.ts'
import { cacheReplies } from './reply-cache.ts'
import { Timers } from './timers.ts'
import { builtInTools } from './tools.ts'

/** Undefined when none is set. */
type Servers = Pick<LanguageModelEntry, 'isUsable' | 'reply'> | undefined

export type LanguageModels = LanguageModelChain & {
  /** For work that nobody waits for: not the embedded model, which writes one reply at a time and would keep the next turn waiting. */
  readonly servers: Servers
  /** Resolves once it is known who answers first. */
  start(): Promise<void>
  close(): Promise<void>
}

type Config = Pick<OrchestratorConfig, 'llm' | 'ollama' | 'orchestrator'>
type Chat = Pick<Model<Prompt, Written, string>, 'status' | 'submit' | 'preload'>

/** For servers, which write faster than the embedded model. */
const MAX_TOKENS = 400
const PROBE = { probeMs: 2000, probeEveryMs: 5000 }
const REST_MS = 5000

/** In the order of LLM_CHAIN; a server without an address is left out. Throws `invalid_config` when nothing is left. */
export function createLanguageModels(
  { llm, ollama, orchestrator }: Config,
  chat: Chat,
  log: Log,
  timers = new Timers(),
): LanguageModels {
  const tools = llm.tools ? builtInTools(timers) : []
  const common = { maxTokens: MAX_TOKENS, tools, log, onChange: () => loadWhenNeeded() }
  const { instructions } = orchestrator
  const watched = llm.chain.includes('ollama')
    ? new OllamaModel({ ...ollama, ...PROBE, ...common, instructions })
    : undefined
  const { url, model, cacheSeconds } = llm
  const server =
    url !== undefined && model !== undefined
      ? new OpenAiChat({ ...llm, ...common, url, model, restMs: REST_MS })
      : undefined
  const embedded = createEmbeddedChat(chat)
  const known: Record<string, LanguageModelEntry | undefined> = { openai: server, ollama: watched, embedded }
  const [first, ...others] = llm.chain.map((name) => known[name]).filter((entry) => entry !== undefined)
  if (!first) throw new AppError('invalid_config', 'LLM_CHAIN: expected a model that is configured; LLM_URL is not set')
  const models = [first, ...others] as const
  const onFailure: ChainOptions['onFailure'] = (from, { code, cause }, hasSpoken) =>
    log.warn({ model: from, code, hasSpoken, err: cause }, 'the language model broke off')
  const chain = firstOf(models, { onFailure })
  const [firstServer, ...otherServers] = models.filter((entry) => entry !== embedded)
  const servers = firstServer && firstOf([firstServer, ...otherServers], { onFailure })

  const reply: LanguageModel['reply'] =
    cacheSeconds > 0 ? cacheReplies(chain, { keptMs: cacheSeconds * 1000 }) : tellingOfTimers

  async function* tellingOfTimers(prompt: Prompt, signal: AbortSignal) {
    const { notices, forget } = timers.rung(prompt.session)
    yield* chain.reply({ ...prompt, notices }, signal)
    forget()
  }

  function loadWhenNeeded(): void {
    if (models.find(({ isUsable }) => isUsable()) === embedded) chat.preload()
  }

  return {
    servers: servers && {
      isUsable: () => [firstServer, ...otherServers].some(({ isUsable }) => isUsable()),
      reply: (prompt, signal) => servers.reply(prompt, signal),
    },
    get name() {
      return chain.name
    },
    get status() {
      return chain.status
    },
    ignores: (prompt) => chain.ignores?.(prompt) ?? [],
    reply,
    async start() {
      await watched?.watch()
      loadWhenNeeded()
    },
    close: async () => watched?.close(),
  }
}
