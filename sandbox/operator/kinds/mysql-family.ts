/** What the kinds have in common whose servers speak MySQL's protocol. */
import * as v from 'valibot'
import type { Spec } from '../cluster/resources.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import { coordinatorResources, type DefaultsTable, engineResources, initResources } from './parts/defaults.ts'
import { type Description, kept, kindOf } from './parts/description.ts'
import type { Block, ContainerShape, Kind, OpsContext } from './parts/kind.ts'
import { mergeSections } from './parts/settings-text.ts'
import {
  certificateAliases,
  container,
  issuedTls,
  members,
  primaryFirst,
  servicesOf,
  stashAddon,
} from './parts/shapes.ts'

const FamilySpec = v.looseObject({ requireSSL: v.exactOptional(v.boolean()) })

/** How one of them differs from the others. */
interface Make extends Pick<Description, 'kind' | 'plural' | 'rules' | 'fixed'> {
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
  readonly defaults: Pick<DefaultsTable, 'replicas' | 'own'>
  /** what it calls the deletion policy when that forbids to delete */
  readonly policy: string
  readonly ops: {
    readonly types?: readonly string[]
    /** why it has only one server and cannot have more */
    alone?(spec: Spec): string | undefined
    readonly mostServers: number
    /** how the sentence about a missing timeout goes on */
    readonly timeout: string
    /** what becomes of a StorageMigration for a database that names no class */
    readonly classless: 'refused' | 'panics'
    readonly complaints: complaints.Complaints
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
  const { kind, plural, rules, fixed, coordinator, isClustered, ops } = make
  const aliases = make.aliases ?? (() => certificateAliases)
  return kindOf({
    kind,
    plural,
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
    components: (db) => {
      const clustered = isClustered(db.spec)
      const server = container(make.container, { db: port })
      return [
        members(db, {
          containers: clustered ? [server, coordinator] : [server],
          ...(clustered && make.hasPrimary ? { role: primaryFirst } : {}),
          volume: 'data',
        }),
      ]
    },
    services: (db) =>
      servicesOf(db, {
        port,
        roles: make.hasPrimary && isClustered(db.spec) ? 'primary and standby' : undefined,
      }),
    // KubeDB publishes a DSN of Go's driver beside the Service.
    client: ({ metadata: { name, namespace } }) => ({
      scheme: 'tcp',
      path: '/',
      url: `tcp(${name}.${namespace}.svc:${port})/`,
      parameters: stashAddon,
    }),
    defaults: {
      schemas: true,
      certificates: aliases,
      pods: (spec) => ({
        containers: {
          [make.container]: engineResources,
          ...(isClustered(spec) ? { [coordinator.name]: coordinatorResources } : {}),
        },
        initContainers: { [make.initContainer]: initResources },
      }),
      ...make.defaults,
    },
    rules,
    ...(fixed ? { fixed } : {}),
    deletionRefusal: kept(kind.toLowerCase(), make.policy),
    ops: {
      ...(ops.types ? { types: ops.types } : {}),
      complaints: {
        VerticalScaling: complaints.needs('`spec.Scale.Vertical` field is empty'),
        HorizontalScaling: complaints.needs('`spec.Scale.HorizontalScaling` field is nil', (context, block) =>
          horizontalScaling(context, block, ops),
        ),
        VolumeExpansion: complaints.expandsDisk(make.container, '`.Spec.VolumeExpansion` field is nil'),
        Reconfigure: complaints.needs('`.Spec.Configuration` field is nil', complaints.anySetting),
        ReconfigureTLS: complaints.needs('TLS Spec is empty', reconfigureTls),
        RotateAuth: complaints.rotateAuth,
        StorageMigration: complaints.migratesDisks(ops.timeout, ops.classless),
        ...ops.complaints,
      },
      sections: () => ({ [make.container]: [] }),
      container: make.container,
      coordinator: () => coordinator.name,
      scaled: (_db, block) => ({ replicas: memberOf(block) }),
    },
  })
}

function memberOf(block: Block): number | undefined {
  return v.parse(v.looseObject({ member: v.exactOptional(v.number()) }), block).member
}

function horizontalScaling(
  { db }: OpsContext,
  block: Block,
  { alone, mostServers }: Make['ops'],
): string | undefined {
  const why = alone?.(db.spec)
  if (why !== undefined) return why
  const member = memberOf(block) ?? 0
  // The sentence says 9 whatever the rule.
  return member <= 2 || member > mostServers
    ? 'Group size can not be less than 3 or greater than 9, range: [3,9]'
    : undefined
}

function reconfigureTls(_context: OpsContext, block: Block): string | undefined {
  const { remove, rotateCertificates, issuerRef, certificates, requireSSL } = block
  const changes = [issuerRef, certificates, requireSSL].some((value) => value !== undefined)
  const count = [remove, rotateCertificates, changes].filter((said) => said === true).length
  if (count === 0) return 'no of incomplete reconfiguration is provided in TLS spec'
  return count > 1
    ? 'more than 1 field have assigned to reconfigureTLS to your database but at a time you you are allowed to run one operation'
    : undefined
}
