/** Whether the servers that are to write replies are there and have their models. */
import { failed, ok, placeOf, skipped, type Check, type Verdict, warning } from '@hearth/shared/doctor'
import * as z from 'zod'
import type { OrchestratorConfig } from '../config.ts'

type Config = Pick<OrchestratorConfig, 'ollama' | 'llm'>

const Tags = z.object({ models: z.array(z.object({ name: z.string() })) })

export const languageModelChecks = (config: Config): readonly Check[] => [
  { name: 'ollama', run: (signal) => checkOllama(config, signal) },
  { name: 'language model server', run: (signal) => checkServer(config, signal) },
]

/** Whether Ollama answers and has the chat model; false also when it is not asked at all. */
export const hasOllama = async (config: Config, signal: AbortSignal): Promise<boolean> =>
  (await checkOllama(config, signal)).status === 'ok'

async function checkOllama({ ollama, llm }: Config, signal: AbortSignal): Promise<Verdict> {
  const { url, model, embeddingModel } = ollama
  const wanted = [...(llm.chain.includes('ollama') ? [model] : []), ...(embeddingModel ? [embeddingModel] : [])]
  if (wanted.length === 0) return skipped('nothing is asked of it (LLM_CHAIN, OLLAMA_EMBEDDING_MODEL)')
  const place = placeOf(url)
  // Someone else writes the replies then, but nobody else makes the vectors.
  const bad = embeddingModel === undefined && llm.chain.some((name) => name !== 'ollama') ? warning : failed
  const others = llm.chain.includes('embedded') ? "; a small model of Hearth's own writes the replies" : ''
  const start = 'install it (https://ollama.com) and start it (`ollama serve`), or name another with OLLAMA_URL'
  const names = await tagsOf(url, signal)
  if (names === null) return bad(`Ollama does not answer at ${place}${others}`, `${start}, then ${pullsOf(wanted)}`)
  const lacking = wanted.filter((name) => !names.includes(name.includes(':') ? name : `${name}:latest`))
  if (lacking.length > 0)
    return bad(`Ollama at ${place} has not pulled ${lacking.join(' and ')}${others}`, pullsOf(lacking))
  return ok(`Ollama at ${place} has ${wanted.join(' and ')}`)
}

const pullsOf = (names: readonly string[]): string => names.map((name) => `ollama pull ${name}`).join(' && ')

/** The names of the models it has; null when it does not answer as Ollama does. */
async function tagsOf(url: string, signal: AbortSignal): Promise<string[] | null> {
  try {
    const answer = await fetch(`${url}/api/tags`, { redirect: 'error', signal })
    return Tags.parse(await answer.json()).models.map(({ name }) => name)
  } catch {
    signal.throwIfAborted()
    return null
  }
}

async function checkServer({ llm }: Config, signal: AbortSignal): Promise<Verdict> {
  const { url, model, apiKey, chain } = llm
  if (url === undefined || !chain.includes('openai')) return skipped('no LLM_URL')
  const bad = chain.length > 1 ? warning : failed
  const place = placeOf(url)
  const headers = apiKey ? { authorization: `Bearer ${apiKey.reveal()}` } : {}
  try {
    const answer = await fetch(`${url}/models`, { redirect: 'error', headers, signal })
    await answer.body?.cancel()
    if (answer.status === 401 || answer.status === 403)
      return bad(`${place} refuses the key (${answer.status})`, 'correct LLM_API_KEY')
    return answer.ok
      ? ok(`${place} answers; it is asked for ${model}`)
      : bad(
          `${place} answers ${answer.status} to ${new URL(url).pathname}/models`,
          'correct LLM_URL; it ends in /v1 as a rule',
        )
  } catch {
    signal.throwIfAborted()
    return bad(`${place} does not answer`, 'start that server, or correct LLM_URL')
  }
}
