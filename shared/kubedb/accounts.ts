/** The accounts of bindings: what an application logs in with. */
import type { BindingInfo } from './binding-record.ts'
import type { Broker } from './broker.ts'
import type { Account } from './databases/database.ts'
import { kindOf } from './databases/kinds.ts'
import type { InstanceRecord } from './instance-record.ts'
import { derivePassword } from './passwords.ts'
import { readSharedAccount } from './reach.ts'

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

/**
 * @returns user and password of a binding, also where it shares them with all others
 * @throws {BrokerError} as `ownAccount`; Unavailable while a shared account is not known
 */
export async function accountOf(
  broker: Broker,
  instance: InstanceRecord,
  info: BindingInfo,
): Promise<Pick<Account, 'name' | 'password'>> {
  return kindOf(instance.database.kind).accounts.by === 'sharing'
    ? readSharedAccount(broker, instance)
    : ownAccount(broker, info)
}
