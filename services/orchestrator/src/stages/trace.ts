/**
 * What ties all calls of one request together in the logs of all services. It travels with the signal that ends those calls, because that goes
 * wherever they are made; who makes a signal of another one hands it on.
 */
import { HEADERS } from '@hearth/shared/api'

/** Headers of each call: the request's id, and the client's own trace context if it sent one (W3C Trace Context). */
export type Trace = Readonly<Record<string, string>>

const TRACE = Symbol('trace')
type Traced = AbortSignal & { readonly [TRACE]: Trace }

const isTraced = (signal: AbortSignal): signal is Traced => TRACE in signal

/** The trace of a request: its id, and of `header` what belongs to the client's trace. */
export function traceOf(requestId: string, header: (name: string) => string | undefined): Trace {
  const traceparent = header('traceparent')
  const tracestate = header('tracestate')
  return {
    [HEADERS.requestId]: requestId,
    ...(traceparent !== undefined && { traceparent }),
    ...(traceparent !== undefined && tracestate !== undefined && { tracestate }),
  }
}

/** `signal` itself, from now on with the trace. */
export const withTrace = (signal: AbortSignal, trace: Trace): AbortSignal => Object.assign(signal, { [TRACE]: trace })

/** No headers for a signal that belongs to no request. */
export const traceHeaders = (signal: AbortSignal): Trace => (isTraced(signal) ? signal[TRACE] : {})
