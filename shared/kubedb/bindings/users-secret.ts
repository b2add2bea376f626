/**
 * The Secret beside a database from which KubeDB takes the passwords of the users that it makes. KubeDB's spec refers
 * to it from then on, and reads it whenever a server starts: a password is in it as long as its user is there.
 */
import type { JsonObject } from '../../values/json.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { Anything, type Resource } from '../cluster/object.ts'
import { kindOf } from '../databases/kinds.ts'
import type { Broker } from '../records/broker.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { hash26, instanceLabel } from '../records/names.ts'

/** The UID sets the Secret apart from that of an earlier database of the same name, which is about to be collected. */
const secretName = ({ metadata }: Resource): string => `${metadata.name}-users-${metadata.uid.slice(0, 8)}`

/**
 * @param passwords by user; null takes one away
 * @returns name of the Secret
 * @throws {BrokerError}
 */
export async function storeUserPasswords(
  broker: Broker,
  instance: InstanceRecord,
  database: Resource,
  passwords: readonly (readonly [user: string, password: string | null])[],
): Promise<string> {
  const name = secretName(database)
  const secrets = { api: '/api/v1', namespace: instance.database.namespace, plural: 'secrets' }
  const data: JsonObject = Object.fromEntries(
    passwords.map(([user, password]) => [
      user,
      password === null ? null : Buffer.from(password).toString('base64'),
    ]),
  )
  try {
    for (;;) {
      try {
        await broker.cluster.patch(Anything, secrets, name, { data })
        return name
      } catch (error) {
        if (!(error instanceof ApiError && error.absent)) throw error
      }
      if (passwords.every(([, password]) => password === null)) return name
      try {
        await broker.cluster.create(Anything, secrets, draft(instance, database, name, data))
        return name
      } catch (error) {
        // Another function has just made it.
        if (!(error instanceof ApiError && error.conflict)) throw error
      }
    }
  } catch (error) {
    throw translate(error, 'storing passwords for KubeDB')
  }
}

function draft(instance: InstanceRecord, database: Resource, name: string, data: JsonObject) {
  const kind = kindOf(instance.database.kind)
  const { uid } = database.metadata
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name,
      namespace: instance.database.namespace,
      labels: { [instanceLabel]: hash26(instance.info.instanceId) },
      ownerReferences: [{ apiVersion: kind.apiVersion, kind: kind.kind, name: database.metadata.name, uid }],
    },
    data,
  }
}
