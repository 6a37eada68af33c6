/** An example as the command that a reader can paste. */
import type { Example, Operation } from './operation.ts'

const BASE = 'http://localhost:8080'
/** A longer command takes a line for each option. */
const LINE_CHARS = 100

/** The path with the example's values in it. */
export function addressOf({ path }: Pick<Operation, 'path'>, { path: values = {}, query }: Example): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? name))
  return query ? `${filled}?${String(new URLSearchParams(query))}` : filled
}

export function sampleOf(operation: Operation, example: Example) {
  return { lang: 'Shell', label: example.title ?? operation.summary, source: curlOf(operation, example) } as const
}

function curlOf(operation: Operation, example: Example): string {
  const { headers = {}, json, form = {}, file, output } = example
  const isStream = headers['accept'] === 'text/event-stream' || (json && 'stream' in json)
  const options = [
    ...(operation.method === 'delete' ? ['-X DELETE'] : []),
    ...(isStream ? ['-N'] : []),
    ...Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(json ? [`--json ${quote(JSON.stringify(json))}`] : []),
    ...Object.entries(form).map(([name, value]) => `-F ${quote(`${name}=${value}`)}`),
    ...(file ? [`-H ${quote(`content-type: ${file.type}`)} --data-binary ${quote(`@${file.name}`)}`] : []),
    ...(output === undefined ? [] : [`-o ${output}`]),
  ]
  const parts = [...options, quote(BASE + addressOf(operation, example))]
  const line = ['curl', ...parts].join(' ')
  return line.length <= LINE_CHARS ? line : ['curl', ...parts].join(' \\\n  ')
}

/** As the shell reads it back. */
const quote = (text: string): string => (/^[\w@=./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
