export type Spec = Record<string, unknown>

/** Where objects of a kind are written. */
export interface Kind {
  path: string
  apiVersion: string
  kind: string
}

/** Title of a case → the spec, and for a bad one what the refusal has to name. */
export type Good = Record<string, Spec>
export type Bad = Record<string, [Spec, RegExp]>

/** What KubeDB's API takes and refuses of one kind of database. */
export interface CrdCases {
  kind: string
  plural: string
  /** kubedb.com/v1 unless said */
  apiVersion?: string
  databases: { good: Good; bad: Bad }
  opsRequests: { good: Good; bad: Bad }
  versions: { bad: Bad }
}

export const databaseKind = ({ kind, plural, apiVersion = 'kubedb.com/v1' }: CrdCases): Kind => ({
  path: `/apis/${apiVersion}/namespaces/default/${plural}`,
  apiVersion,
  kind,
})

export const opsRequestKind = ({ kind }: CrdCases): Kind => ({
  path: `/apis/ops.kubedb.com/v1alpha1/namespaces/default/${kind.toLowerCase()}opsrequests`,
  apiVersion: 'ops.kubedb.com/v1alpha1',
  kind: `${kind}OpsRequest`,
})

export const versionKind = ({ kind }: CrdCases): Kind => ({
  path: `/apis/catalog.kubedb.com/v1alpha1/${kind.toLowerCase()}versions`,
  apiVersion: 'catalog.kubedb.com/v1alpha1',
  kind: `${kind}Version`,
})

export const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } }
export const size = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } }
export const issuerRef = { apiGroup: 'cert-manager.io', kind: 'Issuer', name: 'ca' }
export const certificate = {
  alias: 'server',
  secretName: 'osb-x-server-cert',
  duration: '2160h',
  dnsNames: ['a'],
  subject: {},
}
export const databaseRef = { name: 'osb-x' }

/** A pod whose one container has a size. */
export const podOf = (container: string): Spec => ({
  spec: { containers: [{ name: container, resources: size }] },
})
