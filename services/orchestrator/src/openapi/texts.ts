/** What holds for every route: told once, in the document's own places. */
import { ERROR_CODES } from '@hearth/shared/errors'

export const INTRODUCTION = `A self-hosted voice stack. Everything is at the orchestrator's address, \`http://localhost:8080\` unless it was moved; times are milliseconds, sounds are WAV or s16le mono.

A request that comes while a model still loads is held for up to two minutes, or as long as it says (\`Prefer: wait=5\`, in seconds); then it gets 503 \`model_loading\` with a \`loading\` object beside \`error\`.`

export const ACCESS = `With \`HEARTH_API_KEY\` set (16 characters at least, or \`HEARTH_API_KEY_FILE\`), every route but those marked open asks for \`Authorization: Bearer <key>\`, else 401 \`unauthorized\`; give curl
\`-H "Authorization: Bearer $HEARTH_API_KEY"\`. Pages of other origins can't read answers unless \`HEARTH_ALLOWED_ORIGINS\` names them, separated by commas. The model services have no key: they listen on
loopback, or inside the compose network. What has no key is found under addresses, \`localhost\` and local names (one label, \`*.local\`, \`*.lan\`, \`*.internal\`, \`*.svc\`), and under those in
\`HEARTH_ALLOWED_HOSTS\`; under others it answers 403 \`host_not_allowed\`.`

/** In every reply. */
export const HEADERS = {
  'x-request-id': 'Yours, when it is 1 to 128 of `A-Z a-z 0-9 . _ : -`, else a new one.',
  'x-total-time': 'Milliseconds in this service.',
  'server-timing': 'The same and each stage, in the form browsers draw.',
} as const

const ERRORS = `The one body of every error: OpenAI's, which its clients raise. Errors that may pass carry \`retry-after\`, \`retry-after-ms\` and \`x-should-retry: true\`.`

export const EVENTS = 'Server-sent events, each with JSON as its data.'

export const EVERYWHERE = 'Any other error.'

/** Every code by its status. */
export function errorTable(): string {
  const rows = new Map<string, string[]>()
  for (const [code, { status, type, retryable }] of Object.entries(ERROR_CODES)) {
    const head = `| ${status} | \`${type}\` | ${retryable ? 'yes' : ''} |`
    rows.set(head, [...(rows.get(head) ?? []), `\`${code}\``])
  }
  const lines = [...rows]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([head, codes]) => `${head} ${codes.join(', ')} |`)
  return [ERRORS, '', '| status | type | may pass | codes |', '| --- | --- | --- | --- |', ...lines].join('\n')
}
