import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { Refusal } from '../cluster/admission.ts'
import { type Database, Part, type Spec, type Version } from '../cluster/resources.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'
import * as complaints from './parts/complaints.ts'
import { coordinatorResources, podTemplateOf } from './parts/defaults.ts'
import type { Component, Kind, OpsContext, ServiceShape } from './parts/kind.ts'
import { replicasOf, withSuffix } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { certificateAliases, commonOpsTypes, container, members, portsTo } from './parts/shapes.ts'
import { compareVersions, parseVersion } from './parts/versions.ts'

const Topology = v.looseObject({
  mode: v.exactOptional(v.string()),
  group: v.exactOptional(
    v.looseObject({ name: v.optional(v.string(), ''), mode: v.exactOptional(v.string()) }),
  ),
  innoDBCluster: v.exactOptional(v.looseObject({ router: v.optional(Part, {}) })),
  semiSync: v.exactOptional(v.looseObject({})),
})

const MySQLSpec = v.looseObject({
  topology: v.exactOptional(Topology),
  init: v.exactOptional(
    v.looseObject({
      archiver: v.exactOptional(v.looseObject({})),
      initialized: v.optional(v.boolean(), false),
    }),
  ),
})

type Topology = v.InferOutput<typeof Topology>

function topologyOf(spec: Spec): Topology | undefined {
  return v.parse(MySQLSpec, spec).topology
}

const clustered = new Set(['GroupReplication', 'InnoDBCluster', 'SemiSync'])
const isClustered = (spec: Spec) => clustered.has(topologyOf(spec)?.mode ?? '')
const isInnoDB = (spec: Spec) => topologyOf(spec)?.mode === 'InnoDBCluster'

const family = mysqlFamily({
  kind: 'MySQL',
  plural: 'mysqls',
  container: 'mysql',
  coordinator: container('mysql-coordinator', { coordinator: 2380 }),
  initContainer: 'mysql-init',
  isClustered,
  hasPrimary: true,
  aliases: (spec) => [...certificateAliases, ...(isInnoDB(spec) ? ['router'] : [])],
  defaults: { replicas: (spec) => (isClustered(spec) ? 3 : 1), own: topologyDefaults },
  rules: [
    validateTopology,
    rules.environment('MySQL', forbiddenVariables),
    rules.storageType,
    rules.storage,
    rules.externalSecret('need to provide "mysql.Spec.AuthSecret.Name"'),
    rules.deletionPolicy(),
    rules.monitor,
    validateDomainName,
    rules.healthChecker,
    rules.volumes([
      'tmp',
      'data',
      'init-scripts',
      'initial-script',
      'tls-volume',
      'exporter-tls-volume',
      'custom-config',
      'source-ca',
    ]),
    rules.mountPaths([
      '/tmp',
      '/var/lib/mysql',
      '/scripts',
      '/docker-entrypoint-initdb.d',
      '/etc/mysql/certs',
      '/etc/mysql/conf.d',
      '/etc/mysql/server/certs',
    ]),
  ],
  policy: 'spec.deletionPolicy',
  ops: {
    types: [...commonOpsTypes, 'RotateAuth', 'ReplicationModeTransformation', 'StorageMigration'],
    alone: (spec) =>
      topologyOf(spec)?.mode === undefined
        ? "OpsRequest haven't pointed to a Group Replication, Horizontal scaling applicable only for group Replication"
        : undefined,
    mostServers: 8,
    timeout: ', ',
    classless: 'panics',
    complaints: {
      UpdateVersion: complaints.needs(complaints.bare, changeVersion),
      ReconfigureTLS: ({ request: { spec } }) =>
        !spec.tls || (spec.tls.remove && spec.tls.rotateCertificates)
          ? 'more than 1 field have assigned to reconfigureTLS to your database but at a time you you are allowed to run one operation(`Remove` or `RotateCertificates`)'
          : undefined,
    },
  },
})

const componentLabel = 'mysql.kubedb.com/component'

export const mysql: Kind = {
  ...family,
  labels: (db): Record<string, string> => (isInnoDB(db.spec) ? { [componentLabel]: 'database' } : {}),
  components: (db) => [...family.components(db), ...(isInnoDB(db.spec) ? [routersOf(db)] : [])],
  services: (db) => [...family.services(db), ...(isInnoDB(db.spec) ? [routerServiceOf(db)] : [])],
  unserved: (spec) =>
    topologyOf(spec)?.mode === 'RemoteReplica'
      ? "the sandbox's operator runs no remote replicas of MySQL"
      : undefined,
}

const routerPorts = { rw: 6446, ro: 6447, rwsplit: 6450 }

function routersOf(db: Database): Component {
  return members(db, {
    name: withSuffix(db.metadata.name, 'router'),
    replicas: replicasOf(topologyOf(db.spec)?.innoDBCluster?.router ?? {}),
    path: ['topology', 'innoDBCluster', 'router'],
    containers: [container('mysql-router', routerPorts)],
    labels: { [componentLabel]: 'router' },
  })
}

function routerServiceOf(db: Database): ServiceShape {
  return {
    name: withSuffix(db.metadata.name, 'router'),
    selector: { [componentLabel]: 'router' },
    ports: portsTo(routerPorts),
  }
}

function topologyDefaults(db: Database, version: Version): object {
  const topology = topologyOf(db.spec)
  const filled = topology && modeDefaults(topology, db, version)
  return {
    allowedReadReplicas: db.spec.allowedReadReplicas ?? { namespaces: { from: 'Same' } },
    useAddressType: db.spec.useAddressType || 'DNS',
    ...(filled ? { topology: { ...topology, ...filled } } : {}),
  }
}

function modeDefaults({ mode, group, semiSync, innoDBCluster }: Topology, db: Database, version: Version) {
  switch (mode) {
    case 'GroupReplication':
      return { group: { ...group, name: group?.name || randomUUID() } }
    case 'SemiSync':
      return {
        semiSync: semiSync ?? {
          sourceWaitForReplicaCount: 1,
          sourceTimeout: '24h0m0s',
          errantTransactionRecoveryPolicy: 'PseudoTransaction',
        },
      }
    case 'InnoDBCluster': {
      const { router = {} } = innoDBCluster ?? {}
      const pods = { containers: { 'mysql-router': coordinatorResources } }
      const podTemplate = podTemplateOf(router.podTemplate, db, version, pods)
      return { innoDBCluster: { ...innoDBCluster, router: { ...router, podTemplate } } }
    }
    default:
      return undefined
  }
}

function validateDomainName({ db: { metadata }, spec }: rules.Judged): void {
  const { name, namespace } = metadata
  if (spec.version.startsWith('5') && `${name}.${name}-pods.${namespace}.svc`.length > 60)
    throw new Refusal(
      "MySQL 5.*.* does not support dns name longer than 60 characters. 'name.name-pods.namespace.svc' should not exceed 60 characters",
    )
}

function validateTopology({ spec, version }: rules.Judged): void {
  const { topology, init } = v.parse(MySQLSpec, spec)
  if (!topology) return
  if (topology.mode === undefined)
    throw new Refusal("a valid 'spec.topology.mode' must be set for MySQL clustering")
  if (topology.mode === 'InnoDBCluster' && !version.spec.router?.image)
    throw new Refusal(`InnoDBCluster mode is not supported for MySQL version ${version.metadata.name}`)
  if (topology.mode !== 'GroupReplication') return
  if (init?.archiver && !init.initialized) return
  const replicas = spec.replicas ?? 0
  if (replicas < 3 || replicas > 9)
    throw new Refusal("accepted value of 'spec.replicas' for group replication is in range [3, 9]")
  const { name = '', mode } = topology.group ?? {}
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name))
    throw new Refusal(
      `invalid group name is set: ${name.length === 36 ? 'invalid UUID format' : `invalid UUID length: ${name.length}`}`,
    )
  if (mode === 'Multi-Primary' && compareVersions(parseVersion(spec.version), [8, 4, 2]) < 0)
    throw new Refusal('mysql group support multi primary mode starting from version 8.4.2 and above')
}

/** KubeDB keeps no list of versions for the other topologies, so that it upgrades none of them. */
async function changeVersion(context: OpsContext): Promise<string | undefined> {
  const { db, request } = context
  const target = request.spec.updateVersion?.targetVersion
  const mode = topologyOf(db.spec)?.mode
  if (mode === 'SemiSync' || mode === 'RemoteReplica')
    return `upgrade from version ${db.spec.version} to ${target} is not supported`
  return complaints.upgrade(context)
}
