import type { Manifest } from './manifest.ts'

interface Rule {
  apiGroups?: string[]
  resources?: string[]
  nonResourceURLs?: string[]
  verbs: string[]
}

export interface ClusterRole extends Manifest {
  rules: Rule[]
}

export interface ClusterRoleBinding extends Manifest {
  roleRef: { apiGroup: string; kind: 'ClusterRole'; name: string }
  subjects: { kind: 'ServiceAccount'; name: string; namespace: string }[]
}
