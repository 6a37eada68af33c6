/** Errors as realtime clients are told them. */
import type { AppError } from '@hearth/shared/errors'
import type { Fault } from './server-events.ts'

export const faultOf = ({ type, code, message, param }: AppError): Fault => ({ type, code, message, param })
