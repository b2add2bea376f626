/**
 * Every plan of a catalog, every instance that its parameters allow at their bounds, and every change between them: what
 * the broker would write for each. Pure.
 */
import type { Draft } from '../shared/kubedb/cluster/cluster.ts'
import type { Database } from '../shared/kubedb/databases/database.ts'
import { planUpdate, type UpdatePlan } from '../shared/kubedb/instances/planner.ts'
import { targetOf } from '../shared/kubedb/instances/target.ts'
import {
  databaseOf,
  type InstanceRecord,
  type Resolved,
  type Target,
} from '../shared/kubedb/records/instance-record.ts'
import { draftOpsRequest, draftPatch } from '../shared/kubedb/steps/step-draft.ts'
import { checkParameters } from '../shared/osb/parameters/parameters.ts'
import { BrokerError } from '../shared/values/errors.ts'
import { canonical, type JsonObject } from '../shared/values/json.ts'
import type { Parameters, Plan, Setting } from '../shared/values/nouns.ts'

/** A plan of a catalog, and the kind of its databases. */
export interface Shipped {
  plan: Plan
  kind: Database
}

const prefix = 'example.com'
/** Of every instance here. */
export const instanceId = '6f0a1c6e-8f7c-4a3e-9d52-3f1f4f0c2a11'

/** @returns the plan with what depends on the cluster: issuers and storage classes */
export function withClusterOffers({ plan, kind }: Shipped): Shipped {
  const durable = kind.parameters.includes('storageClass') && plan.spec.storageType !== 'Ephemeral'
  return {
    kind,
    plan: {
      ...plan,
      parameters: {
        ...plan.parameters,
        ...(kind.parameters.includes('tls')
          ? {
              tls: {
                issuers: {
                  internal: { kind: 'ClusterIssuer', name: 'internal-ca' },
                  own: { kind: 'Issuer', name: 'own-ca' },
                },
              },
            }
          : {}),
        ...(durable ? { storageClass: { enum: ['standard', 'fast'] } } : {}),
      },
    },
  }
}

/** @returns sets of parameters that the plan takes: none, each at each of its bounds, all of them at once */
export function parametersOf({ plan, kind }: Shipped): Parameters[] {
  const { parameters } = plan
  const ends = <T>(range: { min: T; max: T } | undefined): T[] => (range ? [range.min, range.max] : [])
  const single: Parameters[] = [
    ...(parameters.version?.enum ?? []).map((version) => ({ version })),
    ...ends(parameters.cpu).map((cpu) => ({ cpu })),
    ...ends(parameters.memory).map((memory) => ({ memory })),
    ...ends(parameters.storage).map((storage) => ({ storage })),
    ...(parameters.storageClass?.enum ?? []).map((storageClass) => ({ storageClass })),
    ...ends(parameters.replicas).map((replicas) => ({ replicas })),
    ...ends(parameters.shards).map((shards) => ({ shards })),
    ...Object.keys(parameters.tls?.issuers ?? {}).map((tls) => ({ tls })),
    ...(parameters.database ? [{ database: 'mine' }] : []),
    ...(parameters.configuration ? settingsOf(kind).map((configuration) => ({ configuration })) : []),
    ...(parameters.deletionPolicy?.enum ?? []).map((deletionPolicy) => ({ deletionPolicy })),
    ...(parameters.suspended ? [{ suspended: true }, { suspended: false }] : []),
    ...(parameters.metadata
      ? [
          {
            metadata: {
              labels: { [`${prefix}/team`]: 'a' },
              annotations: { [`${prefix}/note`]: 'b' },
            },
          },
        ]
      : []),
  ]
  if (parameters.spec) single.push(...(topologies[kind.kind] ?? []).map((spec) => ({ spec })))
  const together: Parameters = Object.assign({}, ...single.toReversed())
  const largest: Parameters = Object.assign({}, ...single)
  return [{}, ...single, together, largest]
}

const disk = { resources: { requests: { storage: '20Gi' } } }
const pod = (container: string) => ({
  spec: {
    containers: [
      { name: container, resources: { requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '2Gi' } } },
    ],
  },
})

/** What custom plans can be made of besides one server. */
const topologies: { [kind: string]: JsonObject[] } = {
  Postgres: [
    { replicas: 3, standbyMode: 'Warm', streamingMode: 'Synchronous' },
    { storageType: 'Ephemeral' },
    { replicas: 2, standbyMode: 'Hot', streamingMode: 'Asynchronous' },
  ],
  MySQL: [
    { replicas: 3, topology: { mode: 'GroupReplication' } },
    { replicas: 5, topology: { mode: 'GroupReplication', group: { mode: 'Multi-Primary' } } },
    {
      replicas: 3,
      topology: { mode: 'GroupReplication', group: { mode: 'Single-Primary' } },
      storageType: 'Ephemeral',
    },
    { storageType: 'Ephemeral' },
  ],
  MongoDB: [
    { replicas: 3, replicaSet: { name: 'rs0' }, storage: disk, podTemplate: pod('mongodb') },
    { shardTopology: { shard: { shards: 2, replicas: 3 } } },
    {
      shardTopology: {
        shard: { shards: 3, replicas: 5, storage: disk, podTemplate: pod('mongodb') },
        configServer: { replicas: 5, storage: disk, podTemplate: pod('mongodb') },
        mongos: { replicas: 3, podTemplate: pod('mongodb') },
      },
    },
    { storageType: 'Ephemeral', replicas: 3, replicaSet: { name: 'rs0' } },
    { storageType: 'Ephemeral', shardTopology: { shard: { shards: 1 } } },
    {
      shardTopology: {
        shard: { shards: 1, replicas: 1 },
        configServer: { replicas: 1 },
        mongos: { replicas: 1 },
      },
    },
  ],
  Redis: [
    { mode: 'Cluster' },
    { mode: 'Cluster', cluster: { shards: 5, replicas: 3 }, storage: disk, podTemplate: pod('redis') },
    { storageType: 'Ephemeral' },
  ],
  Memcached: [{ replicas: 3, podTemplate: pod('memcached') }],
  Elasticsearch: [
    { topology: { master: { replicas: 3 }, data: { replicas: 3 }, ingest: { replicas: 1 } } },
    {
      topology: {
        master: { replicas: 3, storage: disk, podTemplate: pod('elasticsearch') },
        dataHot: { replicas: 3, storage: disk, podTemplate: pod('elasticsearch') },
        dataContent: { replicas: 2 },
        dataWarm: { replicas: 2 },
        ingest: { replicas: 2 },
        coordinating: { replicas: 2 },
      },
    },
    {
      storageType: 'Ephemeral',
      topology: { master: { replicas: 1 }, data: { replicas: 1 }, ingest: { replicas: 1 } },
    },
    {
      topology: {
        master: { replicas: 3 },
        ingest: { replicas: 1 },
        dataHot: { replicas: 1 },
        dataContent: { replicas: 1 },
      },
    },
  ],
}

/** @returns all settings of the kind at one end of what they may be, and at the other */
function settingsOf({ settings }: Database): { [name: string]: string | number | boolean }[] {
  return [0, 1].map((end) =>
    Object.fromEntries(
      Object.entries(settings).map(([name, setting]) => [name, example(setting, end)] as const),
    ),
  )
}

export function example(setting: Setting, end: number): string | number | boolean {
  switch (setting.type) {
    case 'boolean':
      return end === 1
    case 'integer':
    case 'number':
      return (end === 0 ? setting.min : setting.max) ?? end
    case 'string': {
      const found = texts.find((text) => new RegExp(setting.pattern, 'u').test(text))
      if (found === undefined) throw new Error(`no example fits ${setting.pattern}; add one`)
      return found
    }
  }
}

const texts = [
  '64MB',
  '64M',
  '64mb',
  '64m',
  '30s',
  '30ms',
  '10min',
  '10%',
  'UTC',
  'SYSTEM',
  'off',
  'everysec',
  'noeviction',
  'snappy',
  'serializable',
  'SERIALIZABLE',
  'STRICT_TRANS_TABLES',
  'utf8mb4',
  'AKE',
  'autoheal',
  'compact',
  '900 1 300 10',
]

/**
 * @param before the version in force, which a change of plan keeps
 * @throws {BrokerError} as the broker answers
 */
export function targetFor(
  { plan, kind }: Shipped,
  sent: Parameters,
  addresses: 'cluster' | 'external' = 'cluster',
  before?: string,
): Target {
  const checked = checkParameters(plan, kind, sent, 'create', [prefix])
  const version = checked.version ?? before ?? plan.version
  return targetOf(
    { plan, kind, sent: {}, checked, version, maintenance: plan.maintenanceVersion },
    { addresses, instance: instanceId },
  )
}

/** @returns the target, undefined where plan and parameters do not go together and the broker says so */
export function targetOrRefusal(...wish: ArgumentsOf<typeof targetFor>): Target | undefined {
  try {
    return targetFor(...wish)
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'BadRequest') return undefined
    throw error
  }
}

type ArgumentsOf<F> = F extends (...args: infer A) => unknown ? A : never

/** @returns where the database of every instance here is, which is one and the same */
export const recordedDatabase = (kind: Database) => databaseOf(kind, 'default', instanceId)

/** @returns the record of an instance of the plan that was made as the target says */
export function recordOf({ plan, kind }: Shipped, target: Target): InstanceRecord {
  return {
    info: {
      v: 1,
      instanceId,
      serviceId: plan.serviceId,
      organizationGuid: 'org',
      spaceGuid: 'space',
      context: { platform: 'cloudfoundry', instance_name: 'my db', space_name: 'dev' },
      request: '',
      created: '2026-11-24T06:00:00Z',
      platform: 'default',
      createdBy: '',
      ...target,
    },
    operation: {
      v: 1,
      type: 'provision',
      id: 'abcdefghijkl',
      state: 'succeeded',
      started: '2026-11-24T06:00:00Z',
      description: '',
    },
    database: recordedDatabase(kind),
    uid: 'u',
    resourceVersion: '1',
  }
}

/** @returns what the planner makes of a change of a database that is as it was asked for */
export function changeOf(kind: Database, had: Resolved, wanted: Resolved): UpdatePlan {
  return planUpdate(kind, { had, wanted, unfinished: [], live: had.spec })
}

export interface Written {
  opsRequests: Draft[]
  patches: JsonObject[]
}

/** @returns the objects that carry out a plan of the planner */
export function writtenBy(kind: Database, record: InstanceRecord, uid: string, plan: UpdatePlan): Written {
  const database = { metadata: { name: record.database.name, uid } }
  const steps = plan.kind === 'steps' ? plan.steps : []
  return {
    opsRequests: steps.flatMap((step, index) => {
      const name = step.change.by === 'opsRequest' ? `${record.database.name}-abcdefghijkl-${index + 1}` : ''
      return draftOpsRequest(kind, record, database, { ...step, name }) ?? []
    }),
    patches: steps.flatMap((step) => {
      const patch = draftPatch(database, step)
      return patch ? [patch] : []
    }),
  }
}

/** @returns each value once */
export function once<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [canonical(value), value] as const)).values()]
}
