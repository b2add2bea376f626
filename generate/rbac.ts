import type { WrittenKind } from './admission/written.ts'
import { writtenKinds } from './admission/written-kinds.ts'
import { admissionPolicies } from './admission-policy.ts'
import { type Files, type Manifest, yaml } from './manifest.ts'
import { platformRole, reviewRoles } from './reviews.ts'
import {
  brokerRoles,
  databaseRoles,
  type KindResources,
  type Namespaces,
  serviceAccounts,
  versionRoles,
} from './roles.ts'

/** Where the shipped manifests put the broker and its databases. */
export const defaultNamespaces: Namespaces = { broker: 'kubedb-service-broker', databases: 'databases' }

/** @returns the manifests in knative/ that say who may do what, in the order in which they are applied */
export function rbacFiles(
  kinds: readonly KindResources[],
  namespaces = defaultNamespaces,
  lists: readonly WrittenKind[] = writtenKinds(),
): Files {
  return {
    'knative/namespaces/100-namespaces.yaml': yaml(
      "The broker's namespace, and the one its databases go into.",
      [namespace(namespaces.broker), namespace(namespaces.databases)],
    ),
    'knative/base/200-service-accounts.yaml': yaml(
      'One ServiceAccount for each function.',
      serviceAccounts(namespaces),
    ),
    'knative/base/210-broker-roles.yaml': yaml(
      "What each function may do with the broker's records.",
      brokerRoles(namespaces),
    ),
    'knative/base/220-database-roles.yaml': yaml(
      'What each function may do where databases are. For databases in more namespaces, apply it in each.',
      databaseRoles(namespaces, kinds),
    ),
    'knative/base/225-version-roles.yaml': yaml(
      "Who may read KubeDB's versions, which have no namespace.",
      versionRoles(namespaces, kinds),
    ),
    'knative/base/230-admission-policy.yaml': yaml(
      'What roles cannot say: which objects the functions may write, and what may be in them.',
      admissionPolicies(namespaces, lists),
    ),
    'knative/components/bearer/230-reviews.yaml': yaml(
      'Functions ask the API server about bearer tokens; osb-platform is for their owners.',
      [...reviewRoles(namespaces), platformRole()],
    ),
  }
}

/** @returns a Namespace labelled as part of the broker */
export function namespace(name: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'app.kubernetes.io/part-of': 'kubedb-service-broker' } },
  }
}
