import { span } from '../../telemetry/telemetry.ts'
import type { Admin, Users } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import type { Broker } from '../records/broker.ts'

/**
 * Opens an administrator's connection to the engine of an instance, within the time of the request that is served.
 *
 * @param kind KubeDB kind
 * @throws {Unreachable} when the engine does not take connections just now
 */
export async function openUsers(
  broker: Broker,
  kind: string,
  admin: Omit<Admin, 'deadline' | 'signal'>,
): Promise<Users> {
  const { signal, deadline } = broker.cluster
  const traced = <T>(work: string, act: () => Promise<T>) =>
    span(`${kind} ${work}`, { 'server.address': admin.host, 'server.port': admin.port }, act)
  const { accounts } = kindOf(kind)
  if (accounts.by !== 'connection') throw new Error(`users of ${kind} are not made over a connection`)
  const users = await traced('connect', () => accounts.connect({ ...admin, signal, deadline }))
  return {
    list: () => traced('list users', () => users.list()),
    works: (account) => traced('check user', () => users.works(account)),
    create: (account) => traced('create user', () => users.create(account)),
    drop: (name) => traced('drop user', () => users.drop(name)),
    close: () => users.close(),
  }
}
