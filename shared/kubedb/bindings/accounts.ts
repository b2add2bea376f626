/** The accounts that bindings have for themselves: what an application logs in with. */
import type { Account } from '../databases/database.ts'
import type { BindingInfo } from '../records/binding-record.ts'
import type { Broker } from '../records/broker.ts'
import { derivePassword } from './passwords.ts'

/**
 * @returns user and password that a binding has for itself
 * @throws {BrokerError} Misconfigured where the key of its password is missing
 */
export async function ownAccount(broker: Broker, info: BindingInfo): Promise<Account> {
  const { scheme, nonce, instanceId, bindingId, user, role, expiresAt } = info
  const key = await broker.keys.get(info.keyId)
  const password = derivePassword(key, { scheme, nonce, instanceId, bindingId, user })
  return { name: user, password, role, expiresAt }
}
