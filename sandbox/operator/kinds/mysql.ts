import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import { coordinatorResources, podTemplateOf } from '../defaults.ts'
import type { Component, Context, Kind, OpsContext, ServiceShape } from '../kind.ts'
import { governingServiceName, replicasOf, withSuffix } from '../offshoots.ts'
import { updateVersion } from '../ops-complaints.ts'
import { type Database, Part, type Spec, type Version } from '../resources.ts'
import { certificateAliases, commonOpsTypes } from '../shapes.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'
import { compareVersions, parseVersion } from '../versions.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'

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

function topologyOf(spec: Spec): v.InferOutput<typeof Topology> | undefined {
  return v.parse(MySQLSpec, spec).topology
}

const clustered = new Set(['GroupReplication', 'InnoDBCluster', 'SemiSync'])
const isClustered = (spec: Spec) => clustered.has(topologyOf(spec)?.mode ?? '')
const isInnoDB = (spec: Spec) => topologyOf(spec)?.mode === 'InnoDBCluster'

const family = mysqlFamily({
  kind: 'MySQL',
  plural: 'mysqls',
  container: 'mysql',
  coordinator: { name: 'mysql-coordinator', ports: [{ name: 'coordinator', containerPort: 2380 }] },
  initContainer: 'mysql-init',
  isClustered,
  hasPrimary: true,
  aliases: (spec) => [...certificateAliases, ...(isInnoDB(spec) ? ['router'] : [])],
  defaults: (db, version) => ({
    replicas: db.spec.replicas ?? (isClustered(db.spec) ? 3 : 1),
    ...topologyDefaults(db, version),
  }),
  validate,
  fixed: ['spec.storageType'],
  policy: 'spec.deletionPolicy',
  ops: {
    types: [...commonOpsTypes, 'RotateAuth', 'ReplicationModeTransformation', 'StorageMigration'],
    alone: (spec) =>
      topologyOf(spec)?.mode === undefined
        ? "OpsRequest haven't pointed to a Group Replication, Horizontal scaling applicable only for group Replication"
        : undefined,
    mostServers: 8,
    timeout: ', ',
    complaints: {
      UpdateVersion: changeVersion,
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

const routerPorts = [
  { name: 'rw', port: 6446, targetPort: 'rw' },
  { name: 'ro', port: 6447, targetPort: 'ro' },
  { name: 'rwsplit', port: 6450, targetPort: 'rwsplit' },
]

function routersOf(db: Database): Component {
  return {
    name: withSuffix(db.metadata.name, 'router'),
    replicas: replicasOf(topologyOf(db.spec)?.innoDBCluster?.router ?? {}),
    path: ['topology', 'innoDBCluster', 'router'],
    governing: governingServiceName(db),
    containers: [
      {
        name: 'mysql-router',
        ports: routerPorts.map(({ name, port }) => ({ name, containerPort: port })),
      },
    ],
    labels: { [componentLabel]: 'router' },
  }
}

function routerServiceOf(db: Database): ServiceShape {
  return {
    name: withSuffix(db.metadata.name, 'router'),
    selector: { [componentLabel]: 'router' },
    ports: routerPorts,
  }
}

function topologyDefaults(db: Database, version: Version): object {
  const topology = topologyOf(db.spec)
  switch (topology?.mode) {
    case 'GroupReplication':
      return {
        topology: {
          ...topology,
          group: { ...topology.group, name: topology.group?.name || randomUUID() },
        },
      }
    case 'SemiSync':
      return {
        topology: {
          ...topology,
          semiSync: topology.semiSync ?? {
            sourceWaitForReplicaCount: 1,
            sourceTimeout: '24h0m0s',
            errantTransactionRecoveryPolicy: 'PseudoTransaction',
          },
        },
      }
    case 'InnoDBCluster': {
      const { router = {} } = topology.innoDBCluster ?? {}
      const podTemplate = podTemplateOf(router.podTemplate, db, version, {
        containers: [['mysql-router', coordinatorResources]],
      })
      return {
        topology: {
          ...topology,
          innoDBCluster: { ...topology.innoDBCluster, router: { ...router, podTemplate } },
        },
      }
    }
    default:
      return {}
  }
}

const reservedVolumes = [
  'tmp',
  'data',
  'init-scripts',
  'initial-script',
  'tls-volume',
  'exporter-tls-volume',
  'custom-config',
  'source-ca',
]
const reservedPaths = [
  '/tmp',
  '/var/lib/mysql',
  '/scripts',
  '/docker-entrypoint-initdb.d',
  '/etc/mysql/certs',
  '/etc/mysql/conf.d',
  '/etc/mysql/server/certs',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  validateTopology(db, context.version)
  validateEnvironment(spec, forbiddenVariables, 'MySQL')
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user need to provide "mysql.Spec.AuthSecret.Name"',
  )
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  const { name, namespace } = db.metadata
  if (spec.version.startsWith('5') && `${name}.${name}-pods.${namespace}.svc`.length > 60)
    throw new Refusal(
      "MySQL 5.*.* does not support dns name longer than 60 characters. 'name.name-pods.namespace.svc' should not exceed 60 characters",
    )
  validateHealthChecker(spec)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
}

function validateTopology({ spec }: Database, version: Version): void {
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
  if (target !== undefined && (mode === 'SemiSync' || mode === 'RemoteReplica'))
    return `upgrade from version ${db.spec.version} to ${target} is not supported`
  return updateVersion(context, 'spec.updateVersion nil not supported in UpdateVersion type')
}
