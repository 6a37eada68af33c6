/**
 * A form as bytes, for requests that may be given up. Node's `fetch` reads a form while it is sent, by itself: when the signal aborts before
 * that, it writes to a stream that is closed already, which nobody can catch and which ends the process (undici 7.29).
 */

export type FormBody = {
  readonly body: Uint8Array<ArrayBuffer>
  readonly headers: { readonly 'content-type': string }
}

/** `multipart/form-data` with its boundary in the header. */
export async function formBody(form: FormData): Promise<FormBody> {
  const encoded = new Response(form)
  const type = encoded.headers.get('content-type') ?? 'multipart/form-data'
  return { body: new Uint8Array(await encoded.arrayBuffer()), headers: { 'content-type': type } }
}
