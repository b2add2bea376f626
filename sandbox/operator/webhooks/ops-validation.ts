import { canonical } from '../../../shared/values/json.ts'
import { fieldRefusal, Invalid, Refusal } from '../cluster/admission.ts'
import type { Kube } from '../cluster/kube.ts'
import { Database, type OpsRequest } from '../cluster/resources.ts'
import { blocks } from '../kinds/parts/complaints.ts'
import { type Kind, opsKind, resourcesOf } from '../kinds/parts/kind.ts'
import { preconditionMessage } from './changes.ts'

/** Throws {@link Refusal} when the spec of a request was changed. */
export function validateOpsRequestChange(request: OpsRequest, old: OpsRequest): void {
  if (canonical(request.spec) !== canonical(old.spec))
    throw new Refusal(preconditionMessage('map[spec:map[]]', ['spec']))
}

/**
 * What KubeDB's webhook refuses about a request, at its creation and at every update, status included.
 * Throws {@link Refusal}, or {@link Invalid} for what is wrong with the block of its type.
 */
export async function validateOpsRequest(kube: Kube, kind: Kind, request: OpsRequest): Promise<void> {
  const { name, namespace } = request.metadata
  const { type } = request.spec
  const { types, group, absent, complaint } = kind.ops
  if (!types.includes(type))
    throw fieldRefusal({
      field: 'spec.type',
      value: name,
      detail: `defined OpsRequestType ${type} is not supported, supported types for ${kind.kind} are ${types.join(', ')}`,
    })
  const place = { namespace, name: request.spec.databaseRef.name }
  const db = await kube.get(Database, resourcesOf(kind).databases, place)
  if (!db) {
    const refusal = absent(namespace, place.name, name)
    if (refusal) throw refusal
    return
  }
  const wrong = await complaint({ kube, kind, db, request })
  if (wrong === undefined) return
  throw new Invalid(group, opsKind(kind), name, [
    { field: `spec.${blocks[type] ?? type}`, value: name, detail: wrong },
  ])
}
