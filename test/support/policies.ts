/** The admission policies of a test file's namespaces. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import type { JsonAnswer, TestCluster } from './cluster.ts'

/** @returns a database as the broker makes it, under a name of its own, with what is said of it besides */
export const postgresDraft = (spec: JsonObject, metadata: JsonObject): JsonObject => ({
  apiVersion: 'kubedb.com/v1',
  kind: 'Postgres',
  metadata: { name: `osb-${randomUUID()}`, ...metadata },
  spec: {
    version: '18.3',
    storageType: 'Durable',
    storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    deletionPolicy: 'WipeOut',
    ...spec,
  },
})

/** @returns whether a policy has refused the write */
export function denied({ status, text }: JsonAnswer): boolean {
  return status === 422 && text.includes('ValidatingAdmissionPolicy')
}

/** Settles once all of them are in force: each is asked about something that it alone refuses, before any webhook. */
export async function policiesInForce(cluster: TestCluster): Promise<void> {
  const bind = await cluster.as('osb-bind')
  const update = await cluster.as('osb-update')
  const { broker } = cluster.namespaces
  const labels = { 'osb.kubedb.com/instance': 'a'.repeat(26) }
  const database = `osb-${'a'.repeat(26)}`
  const secret = (metadata: JsonObject) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      ownerReferences: [{ apiVersion: 'kubedb.com/v1', kind: 'Redis', name: database, uid: randomUUID() }],
      ...metadata,
    },
  })
  const record = {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: { name: `osb-b-${'a'.repeat(26)}`, labels },
    spec: { type: 'osb.kubedb.com/instance', clientConfig: {} },
  }
  const request = (kind: string) => ({
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind,
    metadata: { name: 'osb-x-1', labels },
    spec: { type: 'UpdateVersion', databaseRef: { name: 'osb-x' }, updateVersion: { targetVersion: '1' } },
  })
  const end = Date.now() + 60_000
  const until = async (name: string, ask: TestCluster['admin'], path: string, object: JsonObject) => {
    for (;;) {
      const answer = await ask('POST', `${path}?dryRun=All`, object)
      if (answer.text.includes(`'${name}'`)) return
      if (Date.now() > end) throw new Error(`the policy ${name} is not in force: ${answer.text}`)
      await delay(100)
    }
  }
  const secrets = cluster.databasesPath('secrets')
  await Promise.all([
    until(`osb-functions.${broker}`, bind, secrets, secret({ name: `${database}-users-01234567` })),
    until(`osb-secrets.${broker}`, bind, secrets, secret({ name: 'osb-x', labels })),
    until(`osb-records.${broker}`, bind, cluster.recordsPath(), record),
    // Those of databases were made before.
    ...[...kinds.values()].map(({ opsKind, opsPlural }) =>
      until(`osb-${opsPlural}.tests`, update, cluster.databasesPath(opsPlural), request(opsKind)),
    ),
  ])
}
