/** What making, removing and polling a service binding have in common. */
import { BrokerError } from '../../values/errors.ts'
import { ApiError } from '../cluster/api-error.ts'
import { type BindingInfo, type BindingRecord, writeBindingRecord } from '../records/binding-record.ts'
import { type Broker, Overtaken, writeFailed } from '../records/broker.ts'
import { type OperationType, operationToken } from '../records/token.ts'

/** @returns AsyncRequired, for platforms that do not allow an answer of 202 */
export function usersTakeAWhile(): BrokerError {
  return new BrokerError(
    'AsyncRequired',
    'KubeDB makes and removes the users of this database, which takes a while: send accepts_incomplete=true',
  )
}

/**
 * Writes a record that was read before.
 *
 * @throws {Overtaken} when it has changed or gone since
 */
export async function write(
  broker: Broker,
  record: BindingRecord,
  info: BindingInfo,
): Promise<BindingRecord> {
  try {
    return await writeBindingRecord(broker.cluster, broker.namespace, record, info)
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) throw new Overtaken({ cause: error })
    throw writeFailed(error, 'writing the binding record')
  }
}

/** @returns the token of the operation that the record tells of, for its polls */
export function tokenOf(type: OperationType, record: BindingRecord): string {
  return operationToken({ type, id: record.info.operation, kind: '', namespace: '', uid: record.uid })
}
