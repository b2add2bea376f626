/** Service bindings as they are: the record, and the credentials that it stands for. */
import { BrokerError } from '../../values/errors.ts'
import type { JsonObject } from '../../values/json.ts'
import { translate } from '../cluster/api-error.ts'
import type { Reach } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { credentialsOf } from '../databases/parts/library-keys.ts'
import { readApplicationReach, readShared } from '../observed/reach.ts'
import {
  type BindingInfo,
  type BindingRecord,
  readBindingRecord,
  UnreadableBinding,
} from '../records/binding-record.ts'
import type { Broker } from '../records/broker.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { ownAccount } from './accounts.ts'

/** A binding that can be used. */
export interface Bound {
  info: BindingInfo
  credentials: JsonObject
  reach: Reach
}

/**
 * @returns the record, undefined when there is none
 * @throws {BrokerError}
 */
export async function findBinding(
  broker: Broker,
  instanceId: string,
  bindingId: string,
): Promise<BindingRecord | undefined> {
  try {
    return await readBindingRecord(broker.cluster, broker.namespace, instanceId, bindingId)
  } catch (error) {
    if (error instanceof UnreadableBinding) {
      throw new BrokerError(
        'Misconfigured',
        'the broker cannot read what it wrote about this binding; its operator has to look at the record',
        { cause: error },
      )
    }
    throw translate(error, 'reading the service binding')
  }
}

/**
 * OSB "Fetching a Service Binding": the credentials of a binding that is ready.
 *
 * @throws {BrokerError} Unavailable while the database has no address; Misconfigured where its key is missing
 */
export async function show(broker: Broker, instance: InstanceRecord, record: BindingRecord): Promise<Bound> {
  const kind = kindOf(instance.database.kind)
  if (kind.accounts.by === 'sharing') {
    const { account, reach } = await readShared(broker, instance)
    return { info: record.info, credentials: credentialsOf(kind, reach, account), reach }
  }
  const [account, reach] = await Promise.all([
    ownAccount(broker, record.info),
    readApplicationReach(broker, instance),
  ])
  return { info: record.info, credentials: credentialsOf(kind, reach, account), reach }
}
