/** OSB "Polling Last Operation for Service Instances": every poll first carries on what is under way. */
import { BrokerError } from '../../values/errors.ts'
import type { Caller, LastOperation } from '../../values/nouns.ts'
import { ApiError } from '../cluster/api-error.ts'
import { Resource } from '../cluster/object.ts'
import { kinds } from '../databases/kinds.ts'
import { missingAddress, readState, type State } from '../observed/database.ts'
import type { Broker } from '../records/broker.ts'
import { databases, type InstanceRecord } from '../records/instance-record.ts'
import { findInstance } from '../records/instance-store.ts'
import { databaseName, hash26, instanceLabel } from '../records/names.ts'
import type { OperationHint } from '../records/token.ts'
import { pollDeprovision } from './deprovisioning.ts'
import { pollProvision } from './provision-outcome.ts'
import { pollUpdate } from './updating.ts'

/**
 * @param hint what the platform was given when the operation began; absent or bare, the latest operation is meant
 * @throws {BrokerError} NotFound when there is no such instance and the hint does not say what became of it
 */
export async function pollInstance(
  broker: Broker,
  instanceId: string,
  hint: OperationHint | undefined,
  caller: Caller,
): Promise<LastOperation> {
  const [record, beside] = await Promise.all([
    findInstance(broker, instanceId, caller),
    besideRecord(broker, instanceId, hint),
  ])
  if (!record) return absent(hint)
  const { operation } = record
  if (hint && hint.id !== '' && hint.id !== operation.id) {
    const over = superseded(record, hint)
    if (over) return over
  }
  const fits = beside && hint?.kind === record.database.kind && hint.namespace === record.database.namespace
  const state = fits ? beside : await readState(broker, record)
  switch (operation.type) {
    case 'provision':
      return pollProvision(broker, record, state, hint?.id === operation.id ? hint.uid : '')
    case 'update':
      return pollUpdate(broker, record, operation, state.database)
    case 'deprovision':
      return pollDeprovision(broker, record, operation, state.database)
  }
}

/** Reads what the hint points to while the record is being read. */
async function besideRecord(
  broker: Broker,
  instanceId: string,
  hint: OperationHint | undefined,
): Promise<State | undefined> {
  const kind = hint && kinds.get(hint.kind)
  if (!kind || !hint.namespace) return undefined
  const name = databaseName(instanceId, kind.maxNameLength)
  try {
    const [database, noAddress] = await Promise.all([
      broker.cluster.get(Resource, databases(kind, hint.namespace), name),
      missingAddress(broker, { namespace: hint.namespace, name }),
    ])
    const ours = database?.metadata.labels[instanceLabel] === hash26(instanceId)
    return { database: ours ? database : undefined, noAddress }
  } catch (error) {
    // The hint may be wrong; the record says where to look.
    if (error instanceof ApiError) return undefined
    throw error
  }
}

function absent(hint: OperationHint | undefined): LastOperation {
  switch (hint?.type) {
    case 'deprovision':
      return { state: 'gone' }
    case 'provision':
    case 'update':
      if (hint.id !== '') return { state: 'failed', description: 'the service instance is gone' }
  }
  throw new BrokerError('NotFound', 'there is no such service instance')
}

/** @returns how the operation asked for ended, where a later one has taken its place */
function superseded(record: InstanceRecord, hint: OperationHint): LastOperation | undefined {
  const { previous, type } = record.operation
  if (hint.type === 'deprovision') {
    // The same id has been provisioned anew: the deprovision before it must have ended.
    return type === 'deprovision' ? undefined : { state: 'gone' }
  }
  // Only what has been provisioned is updated.
  if (hint.type === 'provision' && type === 'update') return { state: 'succeeded', description: 'done' }
  if (previous?.id === hint.id && previous.state !== 'in progress') {
    return previous.state === 'succeeded'
      ? { state: 'succeeded', description: 'done' }
      : { state: 'failed', description: previous.description || 'the operation failed' }
  }
  return { state: 'failed', description: `the operation was overtaken by a later one (${type})` }
}
