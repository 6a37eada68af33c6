/**
 * Tells Chroma's client of both functions. The client's own `registerEmbeddingFunction` is given, because a program may have another copy of
 * the client than this package would find.
 */
import { HearthEmbeddings } from './hearth.ts'
import { OllamaEmbeddings } from './ollama.ts'

type EmbeddingFunctionClass = typeof HearthEmbeddings | typeof OllamaEmbeddings

/** From then on, a collection made with one of them is opened with it. Throws what the client throws, such as for a second time. */
export function registerHearth(register: (name: string, function_: EmbeddingFunctionClass) => void): void {
  register('hearth', HearthEmbeddings)
  register('hearth-ollama', OllamaEmbeddings)
}
