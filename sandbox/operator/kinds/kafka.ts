import * as v from 'valibot'
import { Invalid } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  initResources,
  podTemplateOf,
  tlsDefaults,
} from '../defaults.ts'
import type { Component, Kind, OpsContext, Path, ServiceShape } from '../kind.ts'
import { governingServiceName, replicasOf, withSuffix } from '../offshoots.ts'
import {
  expansion,
  reconfigure,
  reconfigureTls,
  rotateAuth,
  storageClassNotFound,
  timeoutRequired,
  updateVersion,
} from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import {
  type Database,
  Migration,
  Part,
  Quantity,
  resources,
  type Spec,
  Unscoped,
  type Version,
} from '../resources.ts'
import { mergeSettings } from '../settings-text.ts'
import { type Complaints, complaintBy, opsTypes, switchedTls, switchedTlsAliases } from '../shapes.ts'
import { partAt } from '../spec-path.ts'
import { containersOf } from '../validation.ts'

const Node = v.looseObject({ ...Part.entries, suffix: v.exactOptional(v.string()) })
const KafkaSpec = v.looseObject({
  topology: v.exactOptional(
    v.looseObject({ controller: v.exactOptional(Node), broker: v.exactOptional(Node) }),
  ),
  enableSSL: v.optional(v.boolean(), false),
  disableSecurity: v.optional(v.boolean(), false),
})
const parsed = (spec: Spec) => v.parse(KafkaSpec, spec)
const isOpen = (spec: Spec) => parsed(spec).disableSecurity

/** The one whose disk holds the application's data first. */
const roles = ['broker', 'controller'] as const

/** Sections of the spec with nodes, by their key in OpsRequests. */
function sectionsOf(spec: Spec): Record<string, Path> {
  if (!parsed(spec).topology) return { node: [] }
  return Object.fromEntries(roles.map((role) => [role, ['topology', role]]))
}

const clusterId = 'KAFKA_CLUSTER_ID'
const invalid = (name: string, field: string, detail: string) =>
  new Invalid('kafka.kubedb.com', 'Kafka', name, [{ field, value: name, detail }])

export const kafka: Kind = {
  kind: 'Kafka',
  plural: 'kafkas',
  apiVersion: 'kubedb.com/v1',
  title: 'Kafka',
  port: 9092,
  auth: { ...basicAuth('admin', { fixed: false }), disabled: isOpen },
  config: {
    takes: (file) => file === 'server.properties' || file === 'broker.properties',
    merge: mergeSettings,
  },
  tls: switchedTls,
  components,
  services,
  client: (db) => ({
    scheme: parsed(db.spec).enableSSL ? 'https' : 'http',
    service: governingServiceName(db),
  }),
  unserved: (spec) => (parsed(spec).enableSSL ? "the sandbox's operator runs no Kafka with TLS" : undefined),
  admission: {
    defaults,
    validate,
    fixed: [],
    storageClasses: () => [],
    deletionRefusal: (_namespace, name) =>
      invalid(name, 'spec.deletionPolicy', 'Can not delete as deletionPolicy is set to "DoNotTerminate"'),
  },
  ops: {
    types: opsTypes,
    group: 'kafkaopsrequests.kubedb.com',
    absent: databaseNotFound,
    complaint: (context) => complaintBy(complaints)(context),
    vertical: ({ spec }) =>
      Object.fromEntries(
        Object.entries(sectionsOf(spec)).map(([key, path]) => [key, { path, container: 'kafka' }]),
      ),
    volumes: ({ spec }) => sectionsOf(spec),
    migratesBySection: true,
    configured: () => ({ '': [] }),
    scaled(_db, block) {
      const { node, topology = {} } = v.parse(Scaling, block)
      if (node !== undefined) return { replicas: node }
      return {
        topology: Object.fromEntries(
          Object.entries(topology).map(([role, replicas]) => [role, { replicas }]),
        ),
      }
    },
  },
}

function components(db: Database): Component[] {
  const { topology } = parsed(db.spec)
  const { name } = db.metadata
  const nodes = {
    governing: governingServiceName(db),
    containers: [
      {
        name: 'kafka',
        ports: [
          { name: 'broker', containerPort: 9092 },
          { name: 'controller', containerPort: 9093 },
          { name: 'local', containerPort: 29092 },
        ],
      },
    ],
    volume: withSuffix(name, 'data'),
  }
  const labelled = (of: readonly string[]) =>
    Object.fromEntries(of.map((role) => [`kubedb.com/role-${role}`, 'set']))
  if (!topology) return [{ ...nodes, name, replicas: replicasOf(db.spec), path: [], labels: labelled(roles) }]
  return roles.map((role) => ({
    ...nodes,
    name: withSuffix(name, topology[role]?.suffix || role),
    replicas: replicasOf(topology[role] ?? {}),
    path: ['topology', role],
    labels: labelled([role]),
  }))
}

/** There is but one Service: brokers tell clients their own names. */
function services(db: Database): ServiceShape[] {
  const port = (name: string, number: number) => ({ name, port: number, targetPort: name })
  return [
    {
      name: governingServiceName(db),
      headless: true,
      ports: [port('broker', 9092), port('controller', 9093), port('local', 29092)],
    },
  ]
}

const nodeResources = { requests: { cpu: '500m', memory: '1.5Gi' }, limits: { memory: '1.5Gi' } }

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const { topology } = parsed(spec)
  const cluster = clusterIdOf(db)
  const template = (part: Part) => {
    const complete = podTemplateOf(part.podTemplate, db, version, {
      containers: [['kafka', nodeResources]],
      initContainers: version.spec.version.startsWith('4.') ? [['kafka-init', initResources]] : [],
    })
    const containers = (complete.spec?.containers ?? []).map((one) =>
      one.name === 'kafka' && !one.env?.some(({ name }) => name === clusterId)
        ? { ...one, env: [...(one.env ?? []), { name: clusterId, value: cluster }] }
        : one,
    )
    return { ...complete, spec: { ...complete.spec, containers } }
  }
  const node = (role: (typeof roles)[number]) => {
    const given = topology?.[role]
    return given
      ? {
          [role]: {
            ...given,
            suffix: given.suffix || role,
            replicas: given.replicas ?? 1,
            podTemplate: template(given),
          },
        }
      : {}
  }
  return {
    ...spec,
    ...commonDefaults(spec),
    healthChecker: { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 3, ...spec.healthChecker },
    storageType: spec.storageType || 'Durable',
    ...(isOpen(spec) ? {} : { authSecret: authSecretDefaults(spec) }),
    ...configurationOf(spec),
    ...tlsDefaults(db, switchedTlsAliases),
    ...(topology
      ? { topology: { ...topology, ...node('controller'), ...node('broker') } }
      : { replicas: spec.replicas ?? 1, podTemplate: template(spec) }),
  }
}

/** KubeDB draws it from a clock; a database that has one keeps it, and all of its nodes have the same. */
function clusterIdOf({ spec }: Database): string {
  const known = Object.values(sectionsOf(spec))
    .flatMap((path) => containersOf(partAt(spec, path)))
    .flatMap(({ env = [] }) => env)
    .find(({ name }) => name === clusterId)?.value
  return typeof known === 'string' ? known : `11ef-${crypto.randomUUID().slice(19, -1)}w`
}

const reservedVolumes = ['data', 'kafkaconfig', 'temp-config']

function validate(db: Database): void {
  const { spec, metadata } = db
  const { enableSSL, topology } = parsed(spec)
  const refuse = (field: string, detail: string) => {
    throw invalid(metadata.name, field, detail)
  }
  if (enableSSL && !spec.tls) refuse('spec.enableSSL', ".spec.tls can't be nil, if .spec.enableSSL is true")
  if (!enableSSL && spec.tls)
    refuse('spec.enableSSL', '.spec.tls must be nil, if .spec.enableSSL is disabled')
  if (topology) {
    for (const role of ['controller', 'broker'] as const)
      if (!topology[role])
        refuse(`spec.topology.${role}`, `.spec.topology.${role} can't be empty in topology cluster`)
    if (spec.replicas !== undefined)
      refuse('spec.replicas', "doesn't support spec.replicas when spec.topology is set")
    if (spec.storage) refuse('spec.topology.broker', "doesn't support spec.storage when spec.topology is set")
    for (const role of roles)
      if ((topology[role]?.replicas ?? 1) <= 0)
        refuse(`spec.topology.${role}.replicas`, 'number of replicas can not be 0 or less')
  } else if (spec.replicas !== undefined && spec.replicas <= 0)
    refuse('spec.replicas', 'number of replicas can not be 0 or less')
  for (const { name } of spec.podTemplate?.spec?.volumes ?? [])
    if (reservedVolumes.includes(name))
      refuse('spec.podTemplate.spec.volumes', `Cannot use a reserve volume name: ${name}`)
  if (spec.storageType !== 'Durable' && spec.storageType !== 'Ephemeral')
    refuse('spec.storageType', 'StorageType should be either durable or ephemeral')
  if (spec.storageType === 'Ephemeral' && spec.deletionPolicy === 'Halt')
    refuse('spec.deletionPolicy', `'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage`)
}

const number = v.exactOptional(v.number())
const Scaling = v.looseObject({
  node: number,
  topology: v.exactOptional(v.object({ broker: number, controller: number })),
})

/** What KubeDB says of a block that names the wrong sort of nodes. */
function wrongNodes({ db, request: { spec } }: OpsContext, field: 'verticalScaling' | 'volumeExpansion') {
  const block = spec[field]
  if (!block) return `spec.${field} nil not supported in ${spec.type} type`
  const byRole = block.broker !== undefined || block.controller !== undefined
  if (byRole && block.node !== undefined)
    return `spec.${field}.Node && spec.${field}.Topology both can't be non-empty at the same ops request`
  const dedicated = parsed(db.spec).topology !== undefined
  if (dedicated && !byRole)
    return `spec.${field}.topology can not be empty as reference database mode is topology`
  if (!dedicated && block.node === undefined)
    return `spec.${field}.node can not be empty as reference database mode is combined`
  return undefined
}

const complaints: Complaints = {
  UpdateVersion: (context) =>
    updateVersion(context, 'spec.updateVersion nil not supported in UpdateVersion type'),
  HorizontalScaling({ db, request: { spec } }) {
    if (!spec.horizontalScaling) return 'spec.horizontalScaling nil not supported in HorizontalScaling type'
    const { node, topology } = v.parse(Scaling, spec.horizontalScaling)
    const dedicated = parsed(db.spec).topology !== undefined
    if (topology && node !== undefined)
      return "spec.horizontalScaling.Node && spec.horizontalScaling.Topology both can't be non-empty at the same ops request"
    if (dedicated && !topology)
      return 'spec.horizontalScaling.topology can not be empty as reference database mode is topology'
    if (!dedicated && node === undefined)
      return 'spec.horizontalScaling.node can not be empty as reference database mode is combined'
    for (const role of roles)
      if ((topology?.[role] ?? 1) <= 0) return `spec.horizontalScaling.topology.${role} must be positive`
    return (node ?? 1) <= 0 ? 'spec.horizontalScaling.node must be positive' : undefined
  },
  VerticalScaling: (context) => wrongNodes(context, 'verticalScaling'),
  VolumeExpansion(context) {
    const wrong = wrongNodes(context, 'volumeExpansion')
    if (wrong !== undefined) return wrong
    const { db, request } = context
    const sizes = v.parse(v.record(v.string(), v.unknown()), request.spec.volumeExpansion)
    for (const [key, path] of Object.entries(sectionsOf(db.spec))) {
      const size = v.parse(v.optional(Quantity), sizes[key])
      const found =
        size === undefined
          ? undefined
          : expansion(partAt(db.spec, path).storage, size, request, key === 'node' ? 'combined Kafka' : key)
      if (found !== undefined) return found
    }
    return undefined
  },
  Reconfigure: reconfigure,
  ReconfigureTLS: reconfigureTls,
  RotateAuth: rotateAuth,
  async StorageMigration({ kube, db, request: { spec } }) {
    if (!spec.migration) return 'spec.migration is required for StorageMigration type'
    const wishes = v.parse(v.record(v.string(), Migration), spec.migration)
    if (Object.keys(wishes).length === 0)
      return 'at least one of spec.migration.node, spec.migration.controller, or spec.migration.broker is required'
    if (spec.timeout === undefined) return timeoutRequired(',')
    for (const key of Object.keys(sectionsOf(db.spec))) {
      const wish = wishes[key]
      if (wish === undefined) continue
      const name = wish.storageClassName
      if (name === undefined) return 'storageClassName is required in migration spec'
      if (!(await kube.get(Unscoped, resources.storageClasses, { name }))) return storageClassNotFound(name)
    }
    return undefined
  },
}
