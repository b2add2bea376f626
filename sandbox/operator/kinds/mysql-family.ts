/** What the kinds have in common whose servers speak MySQL's protocol. */
import * as v from 'valibot'
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
import type { AdmissionRules, Block, Component, ContainerShape, Kind, OpsContext } from '../kind.ts'
import { stashAddon } from '../offshoot-objects.ts'
import { governingServiceName, replicasOf } from '../offshoots.ts'
import { expansion, rotateAuth, storageMigration } from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import { type Database, Quantity, Reconfiguration, type Spec, type Version } from '../resources.ts'
import { mergeSections } from '../settings-text.ts'
import {
  type Complaints,
  certificateAliases,
  complaintBy,
  issuedTls,
  opsTypes,
  servicesOf,
  storageClassOf,
} from '../shapes.ts'

const FamilySpec = v.looseObject({ requireSSL: v.exactOptional(v.boolean()) })

/** How one of them differs from the others. */
interface Make {
  readonly kind: string
  readonly plural: string
  /** its container; blocks of OpsRequests call it so too */
  readonly container: string
  readonly coordinator: ContainerShape
  readonly initContainer: string
  /** whether its servers work together, each with a coordinator beside it */
  isClustered(spec: Spec): boolean
  /** whether one server of a cluster is the only one that can be written to */
  readonly hasPrimary: boolean
  /** the certificates that it gets with TLS; those of most kinds by default */
  aliases?(spec: Spec): readonly string[]
  /** @returns how many servers there are, and what else KubeDB fills in */
  defaults(db: Database, version: Version): { readonly replicas: number } & Partial<Spec>
  readonly validate: AdmissionRules['validate']
  readonly fixed: readonly string[]
  /** what it calls the deletion policy when that forbids to delete */
  readonly policy: string
  readonly ops: {
    /** in KubeDB's order; those of most by default */
    readonly types?: readonly string[]
    /** why it has only one server and cannot have more */
    alone?(spec: Spec): string | undefined
    readonly mostServers: number
    /** how the sentence about a missing timeout goes on */
    readonly timeout: string
    readonly complaints: Complaints
  }
}

/** What no container may be given: the operator sets the passwords. */
export const forbiddenVariables: readonly string[] = [
  'MYSQL_ROOT_PASSWORD',
  'MYSQL_ALLOW_EMPTY_PASSWORD',
  'MYSQL_RANDOM_ROOT_PASSWORD',
  'MYSQL_ONETIME_PASSWORD',
]

const port = 3306

/** @returns the kind, which may add to it what nobody else has */
export function mysqlFamily(make: Make): Kind {
  const { kind, plural, container, coordinator, ops } = make
  const aliases = (spec: Spec) => make.aliases?.(spec) ?? certificateAliases
  return {
    kind,
    plural,
    apiVersion: 'kubedb.com/v1',
    title: kind,
    port,
    auth: basicAuth('root', { fixed: true }),
    config: { takes: (file) => file.endsWith('.cnf'), merge: mergeSections },
    tls: {
      ...issuedTls,
      aliases: (spec) => (spec.tls ? aliases(spec) : []),
      client: 'client',
      added: (spec, { requireSSL }) => ({
        requireSSL: requireSSL ?? v.parse(FamilySpec, spec).requireSSL ?? false,
      }),
      removed: () => ({ requireSSL: false }),
    },
    components: (db) => [membersOf(db, make)],
    services: (db) =>
      servicesOf(db, {
        port,
        roles: make.hasPrimary && make.isClustered(db.spec) ? 'primary and standby' : undefined,
      }),
    // KubeDB publishes a DSN of Go's driver beside the Service.
    client: ({ metadata: { name, namespace } }) => ({
      scheme: 'tcp',
      path: '/',
      url: `tcp(${name}.${namespace}.svc:${port})/`,
      parameters: stashAddon,
    }),
    admission: {
      defaults: (db, version) => defaults(db, version, make, aliases(db.spec)),
      validate: make.validate,
      fixed: make.fixed,
      storageClasses: storageClassOf,
      deletionRefusal: (namespace, name) =>
        `${kind.toLowerCase()} "${namespace}/${name}" can't be terminated. To delete, change ${make.policy}`,
    },
    ops: {
      types: ops.types ?? opsTypes,
      group: `${kind}opsrequests.kubedb.com`,
      absent: databaseNotFound,
      complaint: complaintBy({
        VerticalScaling: ({ request: { spec } }) =>
          spec.verticalScaling ? undefined : '`spec.Scale.Vertical` field is empty',
        HorizontalScaling: (context) => horizontalScaling(context, ops),
        VolumeExpansion: (context) => volumeExpansion(context, make),
        Reconfigure: reconfigure,
        ReconfigureTLS: reconfigureTls,
        RotateAuth: rotateAuth,
        StorageMigration: (context) => storageMigration(context, ops.timeout),
        ...ops.complaints,
      }),
      vertical: () => ({
        [container]: { path: [], container },
        coordinator: { path: [], container: coordinator.name },
      }),
      volumes: () => ({ [container]: [] }),
      configured: () => ({ '': [] }),
      scaled: (_db, block) => ({ replicas: memberOf(block) }),
    },
  }
}

function membersOf(db: Database, { container, coordinator, hasPrimary, isClustered }: Make): Component {
  const clustered = isClustered(db.spec)
  return {
    name: db.metadata.name,
    replicas: replicasOf(db.spec),
    path: [],
    governing: governingServiceName(db),
    containers: [
      { name: container, ports: [{ name: 'db', containerPort: port }] },
      ...(clustered ? [coordinator] : []),
    ],
    ...(clustered && hasPrimary
      ? { role: (ordinal: number) => (ordinal === 0 ? 'primary' : 'standby') }
      : {}),
    volume: 'data',
  }
}

function defaults(db: Database, version: Version, make: Make, aliases: readonly string[]): Spec {
  const { spec } = db
  const own = make.defaults(db, version)
  const clustered = make.isClustered({ ...spec, ...own })
  return {
    ...spec,
    ...commonDefaults(spec),
    storageType: spec.storageType || 'Durable',
    authSecret: authSecretDefaults(spec),
    ...configurationOf(spec),
    ...tlsDefaults(db, aliases),
    ...own,
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [
        [make.container, engineResources],
        ...(clustered ? [[make.coordinator.name, coordinatorResources] as const] : []),
      ],
      initContainers: [[make.initContainer, initResources]],
    }),
  }
}

const HorizontalScaling = v.looseObject({ member: v.exactOptional(v.number()) })

function memberOf(block: Block): number | undefined {
  return v.parse(HorizontalScaling, block).member
}

function horizontalScaling(
  { db, request: { spec } }: OpsContext,
  { alone, mostServers }: Make['ops'],
): string | undefined {
  if (!spec.horizontalScaling) return '`spec.Scale.HorizontalScaling` field is nil'
  const why = alone?.(db.spec)
  if (why !== undefined) return why
  const member = memberOf(spec.horizontalScaling) ?? 0
  // The sentence says 9 whatever the rule.
  if (member <= 2 || member > mostServers)
    return 'Group size can not be less than 3 or greater than 9, range: [3,9]'
  return undefined
}

function volumeExpansion({ db, request }: OpsContext, { kind, container }: Make): string | undefined {
  const sizes = v.parse(v.record(v.string(), v.unknown()), request.spec.volumeExpansion ?? {})
  const size = v.parse(v.optional(Quantity), sizes[container])
  return size === undefined
    ? '`.Spec.VolumeExpansion` field is nil'
    : expansion(db.spec.storage, size, request, kind)
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
