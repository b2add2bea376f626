import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  coordinatorResources,
  engineResources,
  initResources,
  podTemplateOf,
  tlsDefaults,
} from '../defaults.ts'
import type { Block, Component, Context, Kind, OpsContext, ServiceShape } from '../kind.ts'
import { stashAddon } from '../offshoot-objects.ts'
import { governingServiceName, replicasOf, roleLabel, standbyServiceName, withSuffix } from '../offshoots.ts'
import { expansion, rotateAuth, storageMigration, updateVersion } from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import { type Database, Part, Quantity, Reconfiguration, type Spec, type Version } from '../resources.ts'
import { mergeSections } from '../settings-text.ts'
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
  requireSSL: v.exactOptional(v.boolean()),
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

const aliasesOf = (spec: Spec) => [
  'server',
  'client',
  'metrics-exporter',
  ...(isInnoDB(spec) ? ['router'] : []),
]

export const mysql: Kind = {
  kind: 'MySQL',
  plural: 'mysqls',
  apiVersion: 'kubedb.com/v1',
  title: 'MySQL',
  port: 3306,
  auth: basicAuth('root', { fixed: true }),
  config: { takes: (file) => file.endsWith('.cnf'), merge: mergeSections },
  tls: {
    wanted: ({ tls }) => tls !== undefined,
    needsIssuer: true,
    aliases: (spec) => (spec.tls ? aliasesOf(spec) : []),
    server: 'server',
    client: 'client',
    added: (spec, { requireSSL }) => ({
      requireSSL: requireSSL ?? v.parse(MySQLSpec, spec).requireSSL ?? false,
    }),
    removed: () => ({ requireSSL: false }),
  },
  labels: (db): Record<string, string> => (isInnoDB(db.spec) ? { [componentLabel]: 'database' } : {}),
  components,
  services,
  // KubeDB publishes a DSN of Go's driver beside the Service.
  client: ({ metadata: { name, namespace } }) => ({
    scheme: 'tcp',
    path: '/',
    url: `tcp(${name}.${namespace}.svc:3306)/`,
    parameters: stashAddon,
  }),
  unserved: (spec) =>
    topologyOf(spec)?.mode === 'RemoteReplica'
      ? "the sandbox's operator runs no remote replicas of MySQL"
      : undefined,
  admission: {
    defaults,
    validate,
    fixed: ['spec.storageType'],
    storageClasses: ({ storage }) =>
      storage?.storageClassName === undefined ? [] : [storage.storageClassName],
    deletionRefusal: (namespace, name) =>
      `mysql "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: [
      'UpdateVersion',
      'HorizontalScaling',
      'VerticalScaling',
      'VolumeExpansion',
      'Restart',
      'Reconfigure',
      'ReconfigureTLS',
      'RotateAuth',
      'ReplicationModeTransformation',
      'StorageMigration',
    ],
    group: 'MySQLopsrequests.kubedb.com',
    absent: databaseNotFound,
    complaint,
    vertical: () => ({
      mysql: { path: [], container: 'mysql' },
      coordinator: { path: [], container: 'mysql-coordinator' },
    }),
    volumes: () => ({ mysql: [] }),
    configured: () => ({ '': [] }),
    scaled: (_db, block) => ({ replicas: memberOf(block) }),
  },
}

const componentLabel = 'mysql.kubedb.com/component'

function components(db: Database): Component[] {
  const { name } = db.metadata
  const members: Component = {
    name,
    replicas: replicasOf(db.spec),
    path: [],
    governing: governingServiceName(db),
    containers: [
      { name: 'mysql', ports: [{ name: 'db', containerPort: 3306 }] },
      ...(isClustered(db.spec)
        ? [{ name: 'mysql-coordinator', ports: [{ name: 'coordinator', containerPort: 2380 }] }]
        : []),
    ],
    ...(isClustered(db.spec) ? { role: (ordinal: number) => (ordinal === 0 ? 'primary' : 'standby') } : {}),
    volume: 'data',
  }
  if (!isInnoDB(db.spec)) return [members]
  const path = ['topology', 'innoDBCluster', 'router']
  const router: Component = {
    name: withSuffix(name, 'router'),
    replicas: replicasOf(topologyOf(db.spec)?.innoDBCluster?.router ?? {}),
    path,
    governing: governingServiceName(db),
    containers: [
      {
        name: 'mysql-router',
        ports: routerPorts.map(({ name, port }) => ({ name, containerPort: port })),
      },
    ],
    labels: { [componentLabel]: 'router' },
  }
  return [members, router]
}

const databasePort = { port: 3306, targetPort: 'db' }
const routerPorts = [
  { name: 'rw', port: 6446, targetPort: 'rw' },
  { name: 'ro', port: 6447, targetPort: 'ro' },
  { name: 'rwsplit', port: 6450, targetPort: 'rwsplit' },
]

function services(db: Database): ServiceShape[] {
  const inCluster = isClustered(db.spec)
  const governing: ServiceShape = {
    name: governingServiceName(db),
    headless: true,
    ports: [{ name: 'db', ...databasePort }],
  }
  const primary: ServiceShape = {
    name: db.metadata.name,
    alias: 'primary',
    ...(inCluster ? { selector: { [roleLabel]: 'primary' } } : {}),
    ports: [{ name: 'primary', ...databasePort }],
  }
  const standby: ServiceShape = {
    name: standbyServiceName(db),
    alias: 'standby',
    selector: { [roleLabel]: 'standby' },
    ports: [{ name: 'standby', ...databasePort }],
  }
  const router: ServiceShape = {
    name: withSuffix(db.metadata.name, 'router'),
    selector: { [componentLabel]: 'router' },
    ports: routerPorts,
  }
  return [governing, primary, ...(inCluster ? [standby] : []), ...(isInnoDB(db.spec) ? [router] : [])]
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  return {
    ...spec,
    ...commonDefaults(spec),
    replicas: spec.replicas ?? (isClustered(spec) ? 3 : 1),
    storageType: spec.storageType || 'Durable',
    authSecret: authSecretDefaults(spec),
    ...configurationOf(spec),
    ...tlsDefaults(db, aliasesOf(spec)),
    ...topologyDefaults(db, version),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [
        ['mysql', engineResources],
        ...(isClustered(spec) ? [['mysql-coordinator', coordinatorResources] as const] : []),
      ],
      initContainers: [['mysql-init', initResources]],
    }),
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

const forbiddenVariables = [
  'MYSQL_ROOT_PASSWORD',
  'MYSQL_ALLOW_EMPTY_PASSWORD',
  'MYSQL_RANDOM_ROOT_PASSWORD',
  'MYSQL_ONETIME_PASSWORD',
]
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

const HorizontalScaling = v.looseObject({ member: v.exactOptional(v.number()) })

function memberOf(block: Block): number | undefined {
  return v.parse(HorizontalScaling, block).member
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  const { db, request } = context
  const { spec } = request
  switch (spec.type) {
    case 'VerticalScaling':
      return spec.verticalScaling ? undefined : '`spec.Scale.Vertical` field is empty'
    case 'HorizontalScaling':
      return horizontalScaling(context)
    case 'Reconfigure':
      return reconfigure(context)
    case 'UpdateVersion':
      return changeVersion(context)
    case 'ReconfigureTLS':
      return !spec.tls || (spec.tls.remove && spec.tls.rotateCertificates)
        ? 'more than 1 field have assigned to reconfigureTLS to your database but at a time you you are allowed to run one operation(`Remove` or `RotateCertificates`)'
        : undefined
    case 'RotateAuth':
      return rotateAuth(context)
    case 'StorageMigration':
      return storageMigration(context, ', ')
    case 'VolumeExpansion': {
      const { mysql: size } = v.parse(
        v.looseObject({ mysql: v.exactOptional(Quantity) }),
        spec.volumeExpansion ?? {},
      )
      return size === undefined
        ? '`.Spec.VolumeExpansion` field is nil'
        : expansion(db.spec.storage, size, request, 'MySQL')
    }
    default:
      return undefined
  }
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

function horizontalScaling({ db, request: { spec } }: OpsContext): string | undefined {
  if (!spec.horizontalScaling) return '`spec.Scale.HorizontalScaling` field is nil'
  if (topologyOf(db.spec)?.mode === undefined)
    return "OpsRequest haven't pointed to a Group Replication, Horizontal scaling applicable only for group Replication"
  const member = memberOf(spec.horizontalScaling) ?? 0
  // The sentence says 9, the rule 8.
  if (member <= 2 || member >= 9) return 'Group size can not be less than 3 or greater than 9, range: [3,9]'
  return undefined
}

function reconfigure({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.configuration) return '`.Spec.Configuration` field is nil'
  const block = v.parse(Reconfiguration, spec.configuration)
  if (!block.removeCustomConfig && !block.applyConfig && !block.configSecret)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, or `ApplyConfig` must be specified'
  return undefined
}
