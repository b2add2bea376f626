import * as v from 'valibot'
import type { Spec } from '../cluster/resources.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import { engineResources, initResources } from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { Block } from './parts/kind.ts'
import { withSuffix } from './parts/offshoots.ts'
import { containersOf, fieldRules } from './parts/rules.ts'
import { mergeSettings } from './parts/settings-text.ts'
import {
  container,
  headlessService,
  members,
  portsTo,
  switchedTls,
  switchedTlsAliases,
} from './parts/shapes.ts'

const RabbitSpec = v.looseObject({
  enableSSL: v.optional(v.boolean(), false),
  disableSecurity: v.optional(v.boolean(), false),
})
const parsed = (spec: Spec) => v.parse(RabbitSpec, spec)
const isOpen = (spec: Spec) => parsed(spec).disableSecurity

const rules = fieldRules('RabbitMQ')

const reservedPaths = [
  '/config/',
  '/tmp/config/',
  '/var/lib/rabbitmq/mnesia',
  '/etc/rabbitmq/',
  '/var/private/ssl',
]

export const rabbitmq = kindOf({
  kind: 'RabbitMQ',
  plural: 'rabbitmqs',
  apiVersion: 'kubedb.com/v1alpha2',
  port: 5672,
  auth: { ...basicAuth('admin', { fixed: false }), disabled: isOpen },
  config: { takes: (file) => file === 'rabbitmq.conf', merge: mergeSettings },
  tls: switchedTls,
  components: (db) => [
    members(db, {
      containers: [container('rabbitmq', { amqp: 5672, dashboard: 15672 })],
      volume: `${db.metadata.name}-data`,
    }),
  ],
  // The management's API has a Service of its own.
  services: (db) => [
    headlessService(db, { epmd: 4369, dist: 25672 }),
    { name: db.metadata.name, alias: 'primary', ports: portsTo({ amqp: 5672 }) },
    { name: withSuffix(db.metadata.name, 'dashboard'), ports: portsTo({ dashboard: 15672 }) },
  ],
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
  defaults: {
    failureThreshold: 3,
    haltsPlainly: true,
    traits: { ownAccount: false, plainInit: true, rootInit: true, userGroup: false },
    certificates: () => switchedTlsAliases,
    pods: () => ({
      containers: { rabbitmq: engineResources },
      initContainers: { 'rabbitmq-init': initResources },
    }),
  },
  // KubeDB's webhook asks for less than those of other kinds: a disk without a size passes it, and never comes up.
  rules: [
    rules.tls,
    rules.rule('spec.replicas', ({ replicas }) =>
      replicas !== undefined && replicas <= 0 ? 'number of replicas can not be 0 or less' : undefined,
    ),
    rules.volumes(['data', 'rabbitmqconfig', 'temp-config']),
    rules.rule('spec.podTemplate.spec.volumeMounts', (spec) => {
      const mounts = containersOf(spec).flatMap(({ volumeMounts = [] }) => volumeMounts)
      const taken = mounts.find(({ mountPath }) => reservedPaths.includes(mountPath))
      return taken && `Can't use a reserve volume mount path name: ${taken.mountPath}`
    }),
    rules.storageType,
  ],
  fixed: [],
  deletionRefusal: rules.deletionRefusal('terminationPolicy'),
  ops: {
    group: 'rabbitmqopsrequests.kubedb.com',
    complaints: {
      VerticalScaling: complaints.needs(complaints.bare, (_, { node }) =>
        node ? undefined : "spec.verticalScaling.Node can't be empty",
      ),
      HorizontalScaling: complaints.needs(complaints.bare, (_, block) => {
        const node = nodeOf(block)
        if (node === undefined) return 'spec.horizontalScaling.node can not be empty'
        return node <= 0 ? 'spec.horizontalScaling.node must be positive' : undefined
      }),
      VolumeExpansion: complaints.needs(
        complaints.bare,
        complaints.expandsDisk('node', "spec.volumeExpansion.Node can't be empty"),
      ),
      Reconfigure: complaints.needs(complaints.bare, complaints.anySetting),
      UpdateVersion: complaints.needs(complaints.quoted, complaints.upgrade),
      ReconfigureTLS: complaints.reconfigureTls,
      RotateAuth: (context) =>
        isOpen(context.db.spec)
          ? 'disableSecurity is on, RotateAuth is not applicable'
          : complaints.rotateAuth(context),
      StorageMigration: complaints.migratesDisks(', '),
    },
    sections: () => ({ node: [] }),
    container: 'rabbitmq',
    scaled: (_db, block) => ({ replicas: nodeOf(block) }),
  },
})

function nodeOf(block: Block): number | undefined {
  return v.parse(v.looseObject({ node: v.exactOptional(v.number()) }), block).node
}
