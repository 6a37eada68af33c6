/** What the other services say of themselves, so that one address tells of the whole stack. */
import { ReadyReport } from '@hearth/shared/api'
import { keepAnswer } from '@hearth/shared/kept-answer'

/** Short: a service that thinks longer than this about how it is does not answer. */
const ANSWER_MS = 1500
/** The probes are open to everybody, so a thousand questions may not become three thousand. */
const KEPT_MS = 1000

/** Asks each service's `/ready?verbose`; null stands for one that does not answer, or not as expected. Never rejects. */
export function reportServices(
  urls: Readonly<Record<string, string>>,
): () => Promise<Record<string, ReadyReport | null>> {
  const askAll = async () =>
    Object.fromEntries(
      await Promise.all(Object.entries(urls).map(async ([name, url]) => [name, await ask(url)] as const)),
    )
  return keepAnswer(askAll, KEPT_MS)
}

async function ask(url: string): Promise<ReadyReport | null> {
  try {
    const answer = await fetch(`${url}/ready?verbose`, { redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS) })
    return ReadyReport.parse(await answer.json())
  } catch {
    return null
  }
}
