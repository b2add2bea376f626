import * as v from 'valibot'
import { type Database, Part, type Spec, type Version } from '../cluster/resources.ts'
import { partAt } from '../cluster/spec-path.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import { emptyTemplate, initResources, podTemplateOf } from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { Block, Component, OpsContext } from './parts/kind.ts'
import { governingServiceName, replicasOf, withSuffix } from './parts/offshoots.ts'
import { containersOf, fieldRules } from './parts/rules.ts'
import { mergeSettings } from './parts/settings-text.ts'
import {
  container,
  headlessService,
  members,
  nodeSections,
  roleLabels,
  switchedTls,
  switchedTlsAliases,
} from './parts/shapes.ts'

const Node = v.looseObject({ ...Part.entries, suffix: v.exactOptional(v.string()) })
const KafkaSpec = v.looseObject({
  topology: v.exactOptional(
    v.looseObject({ controller: v.exactOptional(Node), broker: v.exactOptional(Node) }),
  ),
  enableSSL: v.optional(v.boolean(), false),
  disableSecurity: v.optional(v.boolean(), false),
})
const parsed = (spec: Spec) => v.parse(KafkaSpec, spec)

/** The one whose disk holds the application's data first. */
const roles = ['broker', 'controller'] as const

const sectionsOf = (spec: Spec) => nodeSections(parsed(spec).topology && roles)

const ports = { broker: 9092, controller: 9093, local: 29092 }

const rules = fieldRules('Kafka')

const nodeTraits = { ownAccount: false, plainInit: true } as const

export const kafka = kindOf({
  kind: 'Kafka',
  plural: 'kafkas',
  port: 9092,
  auth: { ...basicAuth('admin', { fixed: false }), disabled: (spec) => parsed(spec).disableSecurity },
  config: {
    takes: (file) => file === 'server.properties' || file === 'broker.properties',
    merge: mergeSettings,
  },
  tls: switchedTls,
  components,
  // There is but one Service: brokers tell clients their own names.
  services: (db) => [headlessService(db, ports)],
  client: (db) => ({
    scheme: parsed(db.spec).enableSSL ? 'https' : 'http',
    service: governingServiceName(db),
  }),
  unserved: (spec) => (parsed(spec).enableSSL ? "the sandbox's operator runs no Kafka with TLS" : undefined),
  defaults: {
    failureThreshold: 3,
    traits: nodeTraits,
    certificates: () => switchedTlsAliases,
    pods: (spec, version) => (parsed(spec).topology ? undefined : podsOf(version)),
    own: ownDefaults,
  },
  rules: [
    rules.tls,
    ...(['controller', 'broker'] as const).map((role) =>
      rules.rule(`spec.topology.${role}`, (spec) => {
        const { topology } = parsed(spec)
        return topology && !topology[role]
          ? `.spec.topology.${role} can't be empty in topology cluster`
          : undefined
      }),
    ),
    rules.rule('spec.replicas', ({ topology, replicas }) =>
      topology && replicas !== undefined
        ? "doesn't support spec.replicas when spec.topology is set"
        : undefined,
    ),
    rules.rule('spec.topology.broker', ({ topology, storage }) =>
      topology && storage ? "doesn't support spec.storage when spec.topology is set" : undefined,
    ),
    ...roles.map((role) =>
      rules.rule(`spec.topology.${role}.replicas`, (spec) => tooFew(parsed(spec).topology?.[role]?.replicas)),
    ),
    rules.rule('spec.replicas', ({ replicas }) => tooFew(replicas)),
    rules.volumes(['data', 'kafkaconfig', 'temp-config']),
    rules.storageType,
    rules.rule('spec.deletionPolicy', ({ storageType, deletionPolicy }) =>
      storageType === 'Ephemeral' && deletionPolicy === 'Halt'
        ? `'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage`
        : undefined,
    ),
  ],
  fixed: [],
  deletionRefusal: rules.deletionRefusal('deletionPolicy'),
  ops: {
    group: 'kafkaopsrequests.kubedb.com',
    complaints: {
      UpdateVersion: complaints.needs(complaints.bare, complaints.upgrade),
      HorizontalScaling: complaints.needs(complaints.bare, horizontalScaling),
      VerticalScaling: complaints.needs(complaints.bare, wrongNodes),
      VolumeExpansion: complaints.needs(
        complaints.bare,
        (context, block) => wrongNodes(context, block) ?? complaints.expandsNodes(context, block),
      ),
      Reconfigure: complaints.needs(complaints.bare, complaints.anySetting),
      ReconfigureTLS: complaints.reconfigureTls,
      RotateAuth: complaints.rotateAuth,
      StorageMigration: complaints.migratesNodes(
        'at least one of spec.migration.node, spec.migration.controller, or spec.migration.broker is required',
        roles,
      ),
    },
    sections: sectionsOf,
    container: 'kafka',
    migratesBySection: true,
    scaled(_db, block) {
      const { node, topology = {} } = v.parse(Scaling, block)
      if (node !== undefined) return { replicas: node }
      const counts = Object.entries(topology).map(([role, replicas]) => [role, { replicas }])
      return { topology: Object.fromEntries(counts) }
    },
  },
})

function tooFew(replicas = 1): string | undefined {
  return replicas <= 0 ? 'number of replicas can not be 0 or less' : undefined
}

function components(db: Database): Component[] {
  const { topology } = parsed(db.spec)
  const nodes = members(db, {
    containers: [container('kafka', ports)],
    volume: withSuffix(db.metadata.name, 'data'),
    labels: roleLabels(...roles),
  })
  if (!topology) return [nodes]
  return roles.map((role) => ({
    ...nodes,
    name: withSuffix(db.metadata.name, topology[role]?.suffix || role),
    replicas: replicasOf(topology[role] ?? {}),
    path: ['topology', role],
    labels: roleLabels(role),
  }))
}

const nodeResources = { requests: { cpu: '500m', memory: '1.5Gi' }, limits: { memory: '1.5Gi' } }

function podsOf({ spec: { version } }: Version) {
  return {
    containers: { kafka: nodeResources },
    initContainers: version.startsWith('4.') ? { 'kafka-init': initResources } : {},
  }
}

function ownDefaults(db: Database, version: Version) {
  const { topology } = parsed(db.spec)
  const cluster = clusterIdOf(db)
  const template = (part: Part) => {
    const complete = podTemplateOf(part.podTemplate, db, version, podsOf(version), nodeTraits)
    const containers = (complete.spec?.containers ?? []).map((one) =>
      one.name === 'kafka' && !one.env?.some(({ name }) => name === clusterId)
        ? { ...one, env: [...(one.env ?? []), { name: clusterId, value: cluster }] }
        : one,
    )
    return { ...complete, spec: { ...complete.spec, containers } }
  }
  if (!topology) return { podTemplate: template(db.spec) }
  const nodes = roles.flatMap((role) => {
    const given = topology[role]
    const replicas = given?.replicas ?? 1
    return given
      ? [[role, { ...given, suffix: given.suffix || role, replicas, podTemplate: template(given) }]]
      : []
  })
  return {
    podTemplate: { ...emptyTemplate, ...db.spec.podTemplate },
    topology: { ...topology, ...Object.fromEntries(nodes) },
  }
}

const clusterId = 'KAFKA_CLUSTER_ID'

/** KubeDB draws it from a clock; a database that has one keeps it, and all of its nodes have the same. */
function clusterIdOf({ spec }: Database): string {
  const known = Object.values(sectionsOf(spec))
    .flatMap((path) => containersOf(partAt(spec, path)))
    .flatMap(({ env = [] }) => env)
    .find(({ name }) => name === clusterId)?.value
  return typeof known === 'string' ? known : `11ef-${crypto.randomUUID().slice(19, -1)}w`
}

const number = v.exactOptional(v.number())
const Scaling = v.looseObject({
  node: number,
  topology: v.exactOptional(v.object({ broker: number, controller: number })),
})

/** What KubeDB says of a block that names nodes both ways, or the other way than the database has them. */
function wrongWay(
  { db, request }: OpsContext,
  named: { readonly node: boolean; readonly topology: boolean },
): string | undefined {
  const field = `spec.${complaints.blocks[request.spec.type]}`
  if (named.topology && named.node)
    return `${field}.Node && ${field}.Topology both can't be non-empty at the same ops request`
  if (parsed(db.spec).topology)
    return named.topology
      ? undefined
      : `${field}.topology can not be empty as reference database mode is topology`
  return named.node ? undefined : `${field}.node can not be empty as reference database mode is combined`
}

function wrongNodes(context: OpsContext, { node, broker, controller }: Block): string | undefined {
  return wrongWay(context, {
    node: node !== undefined,
    topology: broker !== undefined || controller !== undefined,
  })
}

function horizontalScaling(context: OpsContext, block: Block): string | undefined {
  const { node, topology } = v.parse(Scaling, block)
  const wrong = wrongWay(context, { node: node !== undefined, topology: topology !== undefined })
  if (wrong !== undefined) return wrong
  for (const role of roles)
    if ((topology?.[role] ?? 1) <= 0) return `spec.horizontalScaling.topology.${role} must be positive`
  return (node ?? 1) <= 0 ? 'spec.horizontalScaling.node must be positive' : undefined
}
