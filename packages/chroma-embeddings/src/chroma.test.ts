/** Both functions with Chroma's own client and a real server; a second process opens what the first one made. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ChromaClient } from 'chromadb'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HearthEmbeddings } from './hearth.ts'
import { OllamaEmbeddings } from './ollama.ts'
import { NO_CHROMA, startChroma } from './testing/chroma-server.ts'
import type { ChromaServer } from './testing/chroma-server.ts'

/** Both dialects; a vector counts letters, so that texts with the same words are near each other. */
const embeddings = createServer((incoming, outgoing) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const { input } = JSON.parse(Buffer.concat(chunks).toString()) as { input: string[] }
    const vectors = input.map(letters)
    const data = vectors.map((embedding, index) => ({ index, embedding }))
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data, embeddings: vectors }))
  })
})
function letters(text: string): number[] {
  const counts = Array.from('abcdefghijklmnopqrstuvwxyz', (letter) => text.toLowerCase().split(letter).length - 1)
  const length = Math.hypot(...counts)
  return counts.map((count) => count / length)
}

/** What another program would do: register, open the collection by its name alone, ask. */
const SECOND_PROCESS = `
  import { ChromaClient, registerEmbeddingFunction } from 'chromadb'
  import { registerHearth } from './register.ts'
  registerHearth(registerEmbeddingFunction)
  const client = new ChromaClient({ host: '127.0.0.1', port: Number(process.argv[1]) })
  const collection = await client.getCollection({ name: process.argv[2] })
  const found = await collection.query({ queryTexts: ['the kettle boils'], nResults: 1 })
  console.log(JSON.stringify({ documents: found.documents[0], count: await collection.count() }))
`

describe.skipIf(NO_CHROMA !== null)(`a collection of a real Chroma server${NO_CHROMA ? ` (${NO_CHROMA})` : ''}`, () => {
  let folder = ''
  let chroma: ChromaServer
  let url = ''
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hearth-chroma-'))
    chroma = await startChroma(folder)
    await new Promise<void>((resolve) => embeddings.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(embeddings.address() as AddressInfo).port}`
  }, 60_000)
  afterAll(async () => {
    await chroma.kill()
    await new Promise((resolve) => embeddings.close(resolve))
    rmSync(folder, { recursive: true })
  })

  test.each([
    ['hearth', HearthEmbeddings],
    ['hearth-ollama', OllamaEmbeddings],
  ])(
    'that was made with %s is found and searched by a second process which knows only its name',
    async (name, Made) => {
      const { port } = new URL(chroma.url)
      const client = new ChromaClient({ host: '127.0.0.1', port: Number(port) })
      const collection = await client.createCollection({ name, embeddingFunction: new Made({ url, model: 'letters' }) })
      const documents = ['water boils in a kettle', 'dogs run far', 'my garden has roses']
      await collection.add({ ids: ['1', '2', '3'], documents })
      expect((await collection.query({ queryTexts: ['a dog ran'], nResults: 1 })).documents).toEqual([['dogs run far']])

      const args = ['--input-type=module', '-e', SECOND_PROCESS, port, name]
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        cwd: import.meta.dirname,
        timeout: 30_000,
      })
      expect(JSON.parse(stdout)).toEqual({ documents: ['water boils in a kettle'], count: 3 })
    },
    60_000,
  )
})
