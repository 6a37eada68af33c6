/** The hub as containers see it: none at all, or one of the test's own that they reach through the engine's bridge. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { docker } from '../compose.ts'
import { ROOT } from '../until-true.ts'

const REACH_MS = 5000
const COMMIT = 'c0ffee'.repeat(6) + 'c0ff'

/** Where the real hub can be reached, its models (gigabytes) are kept out; elsewhere nothing is set, and the services find out by themselves. */
export async function hubSettings(): Promise<Record<string, string>> {
  const answer = await fetch('https://huggingface.co', { method: 'HEAD', signal: AbortSignal.timeout(REACH_MS) }).catch(
    () => null,
  )
  return answer ? { HF_HUB_OFFLINE: '1' } : {}
}

export type Hub = {
  /** For containers. */
  readonly endpoint: string
  /** Names of the files whose content was sent, in order. */
  readonly sent: readonly string[]
  close(): Promise<void>
}

/** A hub that has one of the demo models under every name it is asked for. */
export async function startHub(model: string): Promise<Hub> {
  const sent: string[] = []
  const server = createServer((request, response) => {
    const [, file = ''] = /\/resolve\/[^/]+\/(.+)$/.exec(request.url ?? '') ?? []
    const content = read(model, decodeURIComponent(file))
    if (!content) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
    const etag = `"${createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')}"`
    response.writeHead(200, { etag, 'x-repo-commit': COMMIT, 'content-length': content.length })
    if (request.method === 'HEAD') return void response.end()
    sent.push(file)
    return void response.end(content)
  })
  const gateway = await docker(['network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Gateway}}'])
  await once(server.listen(0, gateway.trim()), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return {
    endpoint: `http://${gateway.trim()}:${address.port}`,
    sent,
    close: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

function read(model: string, file: string): Buffer | null {
  try {
    return file.includes('..') ? null : readFileSync(join(ROOT, 'models', 'demo', model, file))
  } catch {
    return null
  }
}
