/** What the tests of the sandbox's operator do with Postgres, the kind that stands for all in them. */
import type { Kube } from '../../sandbox/operator/cluster/kube.ts'
import { OpsRequest, Database as Postgres, Secret } from '../../sandbox/operator/cluster/resources.ts'
import { rowsOf } from '../support/postgres.ts'
import { addressOf, resources, type Setting, until } from './operator-setting.ts'

/** A durable Postgres of 1 Gi, WipeOut. */
export function postgresManifest(namespace: string, name: string, spec: object = {}) {
  return {
    apiVersion: 'kubedb.com/v1',
    kind: 'Postgres',
    metadata: { namespace, name },
    spec: {
      version: '17.5',
      storageType: 'Durable',
      storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      deletionPolicy: 'WipeOut',
      ...spec,
    },
  }
}

export function opsManifest(
  namespace: string,
  name: string,
  database: string,
  type: string,
  spec: object = {},
) {
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: 'PostgresOpsRequest',
    metadata: { namespace, name },
    spec: { databaseRef: { name: database }, type, ...spec },
  }
}

export function findPostgres(kube: Kube, namespace: string, name: string) {
  return kube.get(Postgres, resources.postgreses, { namespace, name })
}

/** Waits for a phase; says, when it does not come, which one there is and why. */
async function untilPhaseOf<T extends { status: { phase: string; conditions: unknown } }>(
  find: () => Promise<T | undefined>,
  name: string,
  phase: string,
): Promise<T> {
  let seen: T | undefined
  try {
    return await until(`phase ${phase} of ${name}`, async () => {
      seen = await find()
      return seen?.status.phase === phase && seen
    })
  } catch (error) {
    throw new Error(`phase is ${seen?.status.phase}, conditions ${JSON.stringify(seen?.status.conditions)}`, {
      cause: error,
    })
  }
}

export function untilPhase(kube: Kube, namespace: string, name: string, phase: string): Promise<Postgres> {
  return untilPhaseOf(() => findPostgres(kube, namespace, name), name, phase)
}

/** Creates a database and waits until it is Ready. */
export async function createReady(
  kube: Kube,
  namespace: string,
  name: string,
  spec: object = {},
): Promise<Postgres> {
  await kube.create(resources.postgreses, postgresManifest(namespace, name, spec))
  return untilPhase(kube, namespace, name, 'Ready')
}

export function untilOpsPhase(
  kube: Kube,
  namespace: string,
  name: string,
  phase: string,
): Promise<OpsRequest> {
  const find = () => kube.get(OpsRequest, resources.postgresOpsRequests, { namespace, name })
  return untilPhaseOf(find, name, phase)
}

/** Creates an OpsRequest and waits until it ends, expecting success. */
export async function succeedOps(
  kube: Kube,
  namespace: string,
  name: string,
  database: string,
  type: string,
  spec: object = {},
): Promise<OpsRequest> {
  await kube.create(resources.postgresOpsRequests, opsManifest(namespace, name, database, type, spec))
  return untilOpsPhase(kube, namespace, name, 'Successful')
}

export async function authOf(
  kube: Kube,
  namespace: string,
  database: string,
): Promise<Record<string, string>> {
  const secret = await kube.get(Secret, resources.secrets, { namespace, name: `${database}-auth` })
  if (!secret) throw new Error(`no Secret ${database}-auth`)
  return secret.data ?? {}
}

/** Runs a statement as the administrator, with the password of the Secret, at the Service's address. */
export async function sql(
  setting: Setting,
  namespace: string,
  database: string,
  statement: string,
  password?: string,
): Promise<Record<string, unknown>[]> {
  const connection = {
    host: await addressOf(setting, namespace, database),
    user: 'postgres',
    password: password ?? (await authOf(setting.kube, namespace, database)).password,
    database: 'postgres',
  }
  return rowsOf(connection, statement)
}
