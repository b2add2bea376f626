import type { Doc } from './value.ts'

/** An answer with `ok: 0`: what a command is refused with. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: number
  readonly codeName: string
  /** further fields of the answer */
  readonly more: Doc

  constructor(code: number, codeName: string, message: string, more: Doc = {}) {
    super(message)
    this.code = code
    this.codeName = codeName
    this.more = more
  }
}

export const badValue = (message: string) => new Refusal(2, 'BadValue', message)
export const failedToParse = (message: string) => new Refusal(9, 'FailedToParse', message)
export const userNotFound = (message: string) => new Refusal(11, 'UserNotFound', message)
export const unauthorized = (message: string) => new Refusal(13, 'Unauthorized', message)
export const typeMismatch = (message: string) => new Refusal(14, 'TypeMismatch', message)
export const authenticationFailed = () => new Refusal(18, 'AuthenticationFailed', 'Authentication failed.')
export const namespaceNotFound = (message: string) => new Refusal(26, 'NamespaceNotFound', message)
export const cursorNotFound = (id: bigint) => new Refusal(43, 'CursorNotFound', `cursor id ${id} not found`)
export const interrupted = () => new Refusal(11601, 'Interrupted', 'operation was interrupted')
/** What MongoDB can do and this stand-in cannot. */
export const notImplemented = (what: string) =>
  new Refusal(238, 'NotImplemented', `the sandbox's stand-in for MongoDB does not know ${what}`)
