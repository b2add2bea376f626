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
import { governingServiceName, replicasOf } from '../offshoots.ts'
import { expansion, rotateAuth, updateVersion } from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import { type Database, Quantity, Reconfiguration, type Spec, type Version } from '../resources.ts'
import { mergeSections } from '../settings-text.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'

const MariaDBSpec = v.looseObject({
  topology: v.exactOptional(v.looseObject({ mode: v.exactOptional(v.string()) })),
  requireSSL: v.exactOptional(v.boolean()),
  wsrepSSTMethod: v.exactOptional(v.string()),
  init: v.exactOptional(v.looseObject({ script: v.exactOptional(v.looseObject({})) })),
})

/** KubeDB asks for nothing but more than one server. */
const isClustered = (spec: Spec) => replicasOf(spec) > 1
const modeOf = (spec: Spec) => v.parse(MariaDBSpec, spec).topology?.mode

const aliases = ['server', 'client', 'metrics-exporter']
const longestClusterName = 32

export const mariadb: Kind = {
  kind: 'MariaDB',
  plural: 'mariadbs',
  apiVersion: 'kubedb.com/v1',
  title: 'MariaDB',
  port: 3306,
  auth: basicAuth('root', { fixed: true }),
  config: { takes: (file) => file.endsWith('.cnf'), merge: mergeSections },
  tls: {
    wanted: ({ tls }) => tls !== undefined,
    needsIssuer: true,
    aliases: (spec) => (spec.tls ? aliases : []),
    server: 'server',
    client: 'client',
    added: (spec, { requireSSL }) => ({
      requireSSL: requireSSL ?? v.parse(MariaDBSpec, spec).requireSSL ?? false,
    }),
    removed: () => ({ requireSSL: false }),
  },
  components,
  services,
  client: ({ metadata: { name, namespace } }) => ({
    scheme: 'tcp',
    path: '/',
    url: `tcp(${name}.${namespace}.svc:3306)/`,
    parameters: stashAddon,
  }),
  unserved: (spec) =>
    modeOf(spec) === 'MariaDBReplication'
      ? "the sandbox's operator runs no replicas of MariaDB behind MaxScale"
      : undefined,
  admission: {
    defaults,
    validate,
    fixed: ['spec.storageType', 'spec.podTemplate.spec.nodeSelector'],
    storageClasses: ({ storage }) =>
      storage?.storageClassName === undefined ? [] : [storage.storageClassName],
    deletionRefusal: (namespace, name) =>
      `mariadb "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
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
      'StorageMigration',
    ],
    group: 'MariaDBopsrequests.kubedb.com',
    absent: databaseNotFound,
    complaint,
    vertical: () => ({
      mariadb: { path: [], container: 'mariadb' },
      coordinator: { path: [], container: 'md-coordinator' },
    }),
    volumes: () => ({ mariadb: [] }),
    configured: () => ({ '': [] }),
    scaled: (_db, block) => ({ replicas: memberOf(block) }),
  },
}

function components(db: Database): Component[] {
  return [
    {
      name: db.metadata.name,
      replicas: replicasOf(db.spec),
      path: [],
      governing: governingServiceName(db),
      containers: [
        { name: 'mariadb', ports: [{ name: 'db', containerPort: 3306 }] },
        ...(isClustered(db.spec) ? [{ name: 'md-coordinator', ports: [] }] : []),
      ],
      volume: 'data',
    },
  ]
}

/** All servers of a Galera cluster can be written to, so that one Service reaches them all. */
function services(db: Database): ServiceShape[] {
  const port = { port: 3306, targetPort: 'db' }
  return [
    { name: governingServiceName(db), headless: true, ports: [{ name: 'db', ...port }] },
    { name: db.metadata.name, alias: 'primary', ports: [{ name: 'primary', ...port }] },
  ]
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const replicas = spec.replicas ?? 1
  const { topology, wsrepSSTMethod } = v.parse(MariaDBSpec, spec)
  return {
    ...spec,
    ...commonDefaults(spec),
    replicas,
    storageType: spec.storageType || 'Durable',
    authSecret: authSecretDefaults(spec),
    ...configurationOf(spec),
    ...tlsDefaults(db, aliases),
    ...(replicas > 1
      ? { topology: topology ?? { mode: 'GaleraCluster' }, wsrepSSTMethod: wsrepSSTMethod ?? 'rsync' }
      : {}),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [
        ['mariadb', engineResources],
        ...(replicas > 1 ? [['md-coordinator', coordinatorResources] as const] : []),
      ],
      initContainers: [['mariadb-init', initResources]],
    }),
  }
}

const forbiddenVariables = [
  'MYSQL_ROOT_PASSWORD',
  'MYSQL_ALLOW_EMPTY_PASSWORD',
  'MYSQL_RANDOM_ROOT_PASSWORD',
  'MYSQL_ONETIME_PASSWORD',
]
const reservedVolumes = [
  'data',
  'custom-config',
  'init-scripts',
  'run-script',
  'initial-script',
  'tls-server-config',
  'tls-client-config',
  'tls-metrics-exporter-config',
  'metrics-exporter-config',
]
const reservedPaths = [
  '/var/lib/mysql',
  '/etc/mysql/conf.d/',
  '/etc/mysql/custom.conf.d/',
  '/scripts',
  '/run-script',
  '/docker-entrypoint-initdb.d',
  '/etc/mysql/config/exporter',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  if (replicasOf(spec) < 1)
    throw new Refusal(`spec.replicas "${replicasOf(spec)}" invalid. Value must be greater than zero`)
  validateCluster(db)
  validateEnvironment(spec, forbiddenVariables, 'MariaDB')
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  validateHealthChecker(spec)
}

/** Not every release of KubeDB still asks for it; the stand-in is as strict as the strictest. */
function validateCluster({ spec, metadata: { name } }: Database): void {
  if (!isClustered(spec)) return
  if (name.length > longestClusterName)
    throw new Refusal(
      `'spec.md.clusterName' "${name}" shouldn't have more than ${longestClusterName} characters'`,
    )
  if (v.parse(MariaDBSpec, spec).init?.script)
    throw new Refusal('`.spec.init.scriptSource` is not supported for cluster.')
}

function memberOf(block: Block): number | undefined {
  return v.parse(v.looseObject({ member: v.exactOptional(v.number()) }), block).member
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
      return updateVersion(context, 'spec.updateVersion nil not supported in UpdateVersion type')
    case 'ReconfigureTLS':
      return reconfigureTls(context)
    case 'RotateAuth':
      return rotateAuth(context)
    case 'VolumeExpansion': {
      const { mariadb: size } = v.parse(
        v.looseObject({ mariadb: v.exactOptional(Quantity) }),
        spec.volumeExpansion ?? {},
      )
      return size === undefined
        ? '`.Spec.VolumeExpansion` field is nil'
        : expansion(db.spec.storage, size, request, 'MariaDB')
    }
    default:
      return undefined
  }
}

function horizontalScaling({ db, request: { spec } }: OpsContext): string | undefined {
  if (!spec.horizontalScaling) return '`spec.Scale.HorizontalScaling` field is nil'
  if (!isClustered(db.spec))
    return "OpsRequest haven't pointed to a MariaDB Cluster, Horizontal scaling applicable only for MariaDB Cluster"
  const member = memberOf(spec.horizontalScaling) ?? 0
  if (member <= 2 || member > 9) return 'Group size can not be less than 3 or greater than 9, range: [3,9]'
  return undefined
}

function reconfigure({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.configuration) return '`.Spec.Configuration` field is nil'
  const block = v.parse(Reconfiguration, spec.configuration)
  if (!block.removeCustomConfig && !block.applyConfig && !block.configSecret)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, or `ApplyConfig` must be specified'
  return undefined
}

function reconfigureTls({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.tls) return 'TLS Spec is empty'
  const { remove, rotateCertificates, issuerRef, certificates, requireSSL } = v.parse(
    v.looseObject({ requireSSL: v.exactOptional(v.boolean()) }),
    spec.tls,
  )
  const said = [
    remove === true,
    rotateCertificates === true,
    issuerRef !== undefined || certificates !== undefined || requireSSL !== undefined,
  ]
  const count = said.filter(Boolean).length
  if (count === 0) return 'no of incomplete reconfiguration is provided in TLS spec'
  if (count > 1)
    return 'more than 1 field have assigned to reconfigureTLS to your database but at a time you you are allowed to run one operation'
  return undefined
}
