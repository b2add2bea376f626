/** What KubeDB's catalog in the cluster (`catalog.kubedb.com`) says about the versions of an engine. */
import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import type { Collection } from '../cluster/cluster.ts'
import type { Database } from '../databases/database.ts'
import type { Broker } from '../records/broker.ts'

const RangeList = v.array(v.string())
/** One list, or one for each topology of the kind. */
const RangesOf = v.union([RangeList, v.record(v.string(), RangeList)])
export type RangesOf = v.InferOutput<typeof RangesOf>

/** A *Version object. */
const VersionObject = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.object({
    /** the engine's own version, where the name says more: `17.9-percona` is 17.9 */
    version: v.string(),
    distribution: v.optional(v.string()),
    deprecated: v.optional(v.boolean(), false),
    db: v.optional(v.object({ baseOS: v.optional(v.string()) }), {}),
    updateConstraints: v.optional(
      v.object({ allowlist: v.optional(RangesOf, []), denylist: v.optional(RangesOf, []) }),
      { allowlist: [], denylist: [] },
    ),
  }),
})
const ItsName = v.object({ metadata: v.object({ name: v.string() }) })

/** A version as far as upgrades depend on it. */
export interface VersionFacts {
  name: string
  version: string
  distribution: string | undefined
  baseOS: string | undefined
  /** KubeDB starts and upgrades nothing to it */
  deprecated: boolean
  allow: RangesOf
  deny: RangesOf
}

const collection = (kind: Database): Collection => ({
  api: '/apis/catalog.kubedb.com/v1alpha1',
  plural: kind.versionsPlural,
})

/** @returns the kind of *Version objects: `PostgresVersion` */
export const versionKindOf = (kind: Pick<Database, 'kind'>) => `${kind.kind}Version`

/**
 * Every version that the cluster has of a kind.
 *
 * @throws {BrokerError} Unprocessable where the cluster does not offer the kind; Misconfigured, Unavailable
 */
export async function listVersions(broker: Broker, kind: Database): Promise<VersionFacts[]> {
  const found = await broker.cluster.list(VersionObject, collection(kind), '').catch((error: unknown) => {
    throw notServed(error) ? kindIsMissing(kind, 'Unprocessable', error) : translate(error, reading(kind))
  })
  return found.map(({ metadata: { name }, spec }) => ({
    name,
    version: spec.version,
    distribution: spec.distribution,
    baseOS: spec.db.baseOS,
    deprecated: spec.deprecated,
    allow: spec.updateConstraints.allowlist,
    deny: spec.updateConstraints.denylist,
  }))
}

/**
 * Refuses a version that the cluster does not have: KubeDB's webhook would, but it is not always there, and then the
 * database would wait for ever.
 *
 * @param version name of a *Version object
 * @throws {BrokerError} BadRequest naming what is missing; Misconfigured, Unavailable
 */
export async function versionIsOffered(broker: Broker, kind: Database, version: string): Promise<void> {
  const found = await broker.cluster.get(ItsName, collection(kind), version).catch((error: unknown) => {
    throw notServed(error) ? kindIsMissing(kind, 'BadRequest', error) : translate(error, reading(kind))
  })
  if (!found) {
    throw new BrokerError(
      'BadRequest',
      `version: KubeDB on this cluster has no ${kind.kind} version ${version}; ask for another one, or let the operator of the broker add it`,
      {
        forOperator: `${versionKindOf(kind)} ${version} is not in the cluster, so what needs it is refused: install it with KubeDB's catalog, or name another version in the plan (\`kubectl get ${kind.versionsPlural}\` lists them)`,
      },
    )
  }
}

const reading = (kind: Database) => `reading KubeDB's ${versionKindOf(kind)}s`

/** A kind that the API server does not serve answers 404 without a Status. */
export const notServed = (error: unknown) =>
  error instanceof ApiError && error.status === 404 && !error.absent

/** @returns what is said where the cluster lacks the kind itself */
export function kindIsMissing(
  kind: Database,
  problem: 'BadRequest' | 'Unprocessable',
  cause: unknown,
): BrokerError {
  return new BrokerError(
    problem,
    `KubeDB on this cluster does not offer ${kind.kind}; use another service, or let the operator of the broker enable it`,
    {
      cause,
      forOperator: `the cluster lacks the resources of KubeDB's ${kind.kind}, so the service is refused: enable it where KubeDB is installed (\`--set global.featureGates.${kind.kind}=true\` of its Helm chart), or take the service out of the catalog`,
    },
  )
}
