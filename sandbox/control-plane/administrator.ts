import type { Manifest } from '../../generate/manifest.ts'
import { type Answer, ask, type Endpoint, type PatchType } from './request.ts'

/**
 * Sends one request to an API server as somebody who may do everything.
 *
 * @param path with its query, beginning with a slash
 * @param body sent as JSON
 * @returns the answer, also one that refuses
 */
export type Administrator = (
  method: string,
  path: string,
  body?: unknown,
  patchType?: PatchType,
) => Promise<Answer>

/** @returns the administrator of a control plane of the sandbox */
export function administratorOf(plane: Endpoint): Administrator {
  return function administrator(method, path, body, patchType) {
    return ask(plane, method, path, body, patchType)
  }
}

/** Kinds that the sandbox applies: where each is served. */
const collections: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
}

/**
 * Creates the objects or brings them up to date, in their order, as `kubectl apply --server-side` does.
 *
 * @throws with the API server's words when it refuses one
 */
export async function apply(administrator: Administrator, manifests: readonly Manifest[]): Promise<void> {
  for (const manifest of manifests) {
    const path = `${pathOf(manifest)}?fieldManager=sandbox&force=true&fieldValidation=Strict`
    const answer = await administrator('PATCH', path, manifest, 'application/apply-patch+yaml')
    if (answer.status >= 300) throw new Error(`${pathOf(manifest)} is refused: ${answer.body.trim()}`)
  }
}

function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const collection = collections[kind]
  if (collection === undefined) throw new Error(`the sandbox does not know where objects of kind ${kind} go`)
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  return `${root}${namespace}/${collection}/${metadata.name}`
}
