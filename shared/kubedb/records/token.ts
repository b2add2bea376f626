/**
 * The `operation` that platforms hand back when they poll: a hint that lets a poll read record and database side by
 * side. Small, no secret, never trusted: what it says is only compared with what is there.
 */
import * as v from 'valibot'
import type { InstanceRecord } from './instance-record.ts'

export type OperationType = 'provision' | 'update' | 'deprovision' | 'bind' | 'unbind'

const types = ['provision', 'update', 'deprovision', 'bind', 'unbind'] as const

const Hint = v.tuple([v.string(), v.string(), v.string(), v.string()])

export interface OperationHint {
  type: OperationType
  /** empty for a bare type, as conformance checkers send it */
  id: string
  kind: string
  namespace: string
  uid: string
}

/** @returns the token: `<type>.<base64url of [id, kind, namespace, uid]>` */
export function operationToken(hint: OperationHint): string {
  const body = JSON.stringify([hint.id, hint.kind, hint.namespace, hint.uid])
  return `${hint.type}.${Buffer.from(body).toString('base64url')}`
}

/** @returns the hint, or undefined for anything that is no token of ours: the latest operation is meant then */
export function parseOperationToken(token: string | undefined): OperationHint | undefined {
  if (token === undefined || token.length > 2000) return undefined
  const [name, body, ...more] = token.split('.')
  const type = types.find((known) => known === name)
  if (!type || more.length > 0) return undefined
  if (body === undefined) return { type, id: '', kind: '', namespace: '', uid: '' }
  try {
    const [id, kind, namespace, uid] = v.parse(
      Hint,
      JSON.parse(Buffer.from(body, 'base64url').toString('utf8')),
    )
    return { type, id, kind, namespace, uid }
  } catch {
    return undefined
  }
}

/** @returns the token of the operation that the record tells of */
export function tokenOf(record: InstanceRecord, uid: string): string {
  const { kind, namespace } = record.database
  return operationToken({ type: record.operation.type, id: record.operation.id, kind, namespace, uid })
}
