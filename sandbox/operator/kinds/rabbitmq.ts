import * as v from 'valibot'
import { Invalid } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  engineResources,
  initResources,
  podTemplateOf,
  tlsDefaults,
} from '../defaults.ts'
import type { Block, Component, Context, Kind, ServiceShape } from '../kind.ts'
import { governingServiceName, replicasOf, withSuffix } from '../offshoots.ts'
import {
  expansion,
  reconfigure,
  reconfigureTls,
  rotateAuth,
  storageMigration,
  updateVersion,
} from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import { type Database, Quantity, type Spec, type Version } from '../resources.ts'
import { mergeSettings } from '../settings-text.ts'
import { type Complaints, complaintBy, opsTypes, switchedTls, switchedTlsAliases } from '../shapes.ts'
import { containersOf } from '../validation.ts'

const RabbitSpec = v.looseObject({
  enableSSL: v.optional(v.boolean(), false),
  disableSecurity: v.optional(v.boolean(), false),
})
const parsed = (spec: Spec) => v.parse(RabbitSpec, spec)
const isOpen = (spec: Spec) => parsed(spec).disableSecurity

const invalid = (name: string, field: string, detail: string) =>
  new Invalid('rabbitmq.kubedb.com', 'RabbitMQ', name, [{ field, value: name, detail }])

export const rabbitmq: Kind = {
  kind: 'RabbitMQ',
  plural: 'rabbitmqs',
  apiVersion: 'kubedb.com/v1alpha2',
  title: 'RabbitMQ',
  port: 5672,
  auth: { ...basicAuth('admin', { fixed: false }), disabled: isOpen },
  config: { takes: (file) => file === 'rabbitmq.conf', merge: mergeSettings },
  tls: switchedTls,
  components,
  services,
  // As KubeDB publishes it: the scheme of the management's API beside the port of AMQP.
  client: ({ metadata: { name, namespace }, spec }) => ({
    scheme: parsed(spec).enableSSL ? 'https' : 'http',
    url: `amqp://<username>:<password>@${name}.${namespace}.svc.cluster.local:5672/`,
  }),
  secrets: (db) => [
    {
      name: withSuffix(db.metadata.name, 'erlang-cookie'),
      type: 'Opaque',
      data: (newPassword) => ({ '.erlang.cookie': newPassword() }),
    },
  ],
  unserved: (spec) =>
    parsed(spec).enableSSL ? "the sandbox's operator runs no RabbitMQ with TLS" : undefined,
  admission: {
    defaults,
    validate,
    fixed: [],
    storageClasses: () => [],
    deletionRefusal: (_namespace, name) =>
      invalid(name, 'spec.deletionPolicy', 'Can not delete as terminationPolicy is set to "DoNotTerminate"'),
  },
  ops: {
    types: opsTypes,
    group: 'rabbitmqopsrequests.kubedb.com',
    absent: databaseNotFound,
    complaint: (context) => complaintBy(complaints)(context),
    vertical: () => ({ node: { path: [], container: 'rabbitmq' } }),
    volumes: () => ({ node: [] }),
    configured: () => ({ '': [] }),
    scaled: (_db, block) => ({ replicas: nodeOf(block) }),
  },
}

function components(db: Database): Component[] {
  const { name } = db.metadata
  return [
    {
      name,
      replicas: replicasOf(db.spec),
      path: [],
      governing: governingServiceName(db),
      containers: [
        {
          name: 'rabbitmq',
          ports: [
            { name: 'amqp', containerPort: 5672 },
            { name: 'dashboard', containerPort: 15672 },
          ],
        },
      ],
      volume: `${name}-data`,
    },
  ]
}

/** The management's API has a Service of its own. */
function services(db: Database): ServiceShape[] {
  const { name } = db.metadata
  return [
    {
      name: governingServiceName(db),
      headless: true,
      ports: [
        { name: 'epmd', port: 4369, targetPort: 'epmd' },
        { name: 'dist', port: 25672, targetPort: 'dist' },
      ],
    },
    { name, alias: 'primary', ports: [{ name: 'amqp', port: 5672, targetPort: 'amqp' }] },
    {
      name: withSuffix(name, 'dashboard'),
      ports: [{ name: 'dashboard', port: 15672, targetPort: 'dashboard' }],
    },
  ]
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  return {
    ...spec,
    ...commonDefaults(spec),
    healthChecker: { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 3, ...spec.healthChecker },
    replicas: spec.replicas ?? 1,
    storageType: spec.storageType || 'Durable',
    ...(isOpen(spec) ? {} : { authSecret: authSecretDefaults(spec) }),
    ...configurationOf(spec),
    ...tlsDefaults(db, switchedTlsAliases),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [['rabbitmq', engineResources]],
      initContainers: [['rabbitmq-init', initResources]],
    }),
  }
}

const reservedVolumes = ['data', 'rabbitmqconfig', 'temp-config']
const reservedPaths = [
  '/config/',
  '/tmp/config/',
  '/var/lib/rabbitmq/mnesia',
  '/etc/rabbitmq/',
  '/var/private/ssl',
]

/** KubeDB's webhook asks for less than those of other kinds: a disk without a size passes it, and never comes up. */
function validate(db: Database, _context: Context): void {
  const { spec, metadata } = db
  const { enableSSL } = parsed(spec)
  const refuse = (field: string, detail: string) => {
    throw invalid(metadata.name, field, detail)
  }
  if (enableSSL && !spec.tls) refuse('spec.enableSSL', ".spec.tls can't be nil, if .spec.enableSSL is true")
  if (!enableSSL && spec.tls)
    refuse('spec.enableSSL', '.spec.tls must be nil, if .spec.enableSSL is disabled')
  if (spec.replicas !== undefined && spec.replicas <= 0)
    refuse('spec.replicas', 'number of replicas can not be 0 or less')
  for (const { name } of spec.podTemplate?.spec?.volumes ?? [])
    if (reservedVolumes.includes(name))
      refuse('spec.podTemplate.spec.volumes', `Cannot use a reserve volume name: ${name}`)
  for (const { mountPath } of containersOf(spec).flatMap(({ volumeMounts = [] }) => volumeMounts))
    if (reservedPaths.includes(mountPath))
      refuse('spec.podTemplate.spec.volumeMounts', `Can't use a reserve volume mount path name: ${mountPath}`)
  if (spec.storageType !== 'Durable' && spec.storageType !== 'Ephemeral')
    refuse('spec.storageType', 'StorageType should be either durable or ephemeral')
}

function nodeOf(block: Block): number | undefined {
  return v.parse(v.looseObject({ node: v.exactOptional(v.number()) }), block).node
}

const complaints: Complaints = {
  VerticalScaling({ request: { spec } }) {
    if (!spec.verticalScaling) return 'spec.verticalScaling nil not supported in VerticalScaling type'
    return spec.verticalScaling.node ? undefined : "spec.verticalScaling.Node can't be empty"
  },
  HorizontalScaling({ request: { spec } }) {
    if (!spec.horizontalScaling) return 'spec.horizontalScaling nil not supported in HorizontalScaling type'
    const node = nodeOf(spec.horizontalScaling)
    if (node === undefined) return 'spec.horizontalScaling.node can not be empty'
    return node <= 0 ? 'spec.horizontalScaling.node must be positive' : undefined
  },
  VolumeExpansion({ db, request }) {
    const block = request.spec.volumeExpansion
    if (!block) return 'spec.volumeExpansion nil not supported in VolumeExpansion type'
    const { node } = v.parse(v.looseObject({ node: v.exactOptional(Quantity) }), block)
    if (node === undefined) return "spec.volumeExpansion.Node can't be empty"
    return expansion(db.spec.storage, node, request, 'RabbitMQ')
  },
  Reconfigure: reconfigure,
  UpdateVersion: (context) => updateVersion(context),
  ReconfigureTLS: reconfigureTls,
  RotateAuth: (context) =>
    isOpen(context.db.spec) ? 'disableSecurity is on, RotateAuth is not applicable' : rotateAuth(context),
  StorageMigration: (context) => storageMigration(context, ', '),
}
