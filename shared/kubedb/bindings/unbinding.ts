/** Removing service bindings: the intent into the record, then the user, then the record. */
import { BrokerError } from '../../values/errors.ts'
import type { Outcome } from '../../values/nouns.ts'
import { kindOf } from '../databases/kinds.ts'
import { readInside } from '../observed/reach.ts'
import { type BindingInfo, type BindingRecord, removeBindingRecord } from '../records/binding-record.ts'
import { age, type Broker, newOperationId, timestamp, writeFailed } from '../records/broker.ts'
import { bindingState, unbinding } from '../records/decide.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { remove } from './removal.ts'
import { tokenOf, usersTakeAWhile, write } from './writing.ts'

/**
 * OSB "Unbinding".
 *
 * @returns `done` when the user is gone and so is the record, or the user cannot log in until both are
 * @throws {BrokerError} Gone, AsyncRequired, ConcurrencyError, Unavailable
 * @throws {Overtaken}
 */
export async function unbind(
  broker: Broker,
  instance: InstanceRecord,
  found: BindingRecord,
  asynchronous: boolean,
): Promise<Outcome<null>> {
  const decision = unbinding[bindingState(found)]
  if (decision === 'gone') throw new BrokerError('Gone', 'there is no such service binding')
  const { accounts } = kindOf(instance.database.kind)
  if (accounts.by === 'sharing') {
    // The account is everybody's: nothing is taken away but the record.
    await removeBindingRecord(broker.cluster, broker.namespace, found).catch((error: unknown) => {
      throw writeFailed(error, 'removing the binding record')
    })
    return { state: 'done', created: false, value: null }
  }
  // Where KubeDB makes users, the number in the record tells whether one may still be made.
  const overtaken = accounts.by === 'connection' && beingMade(broker, found.info)
  if (overtaken && !asynchronous) {
    throw new BrokerError(
      'ConcurrencyError',
      'the service binding is still being made; unbind it in two minutes, or send accepts_incomplete=true',
    )
  }
  const doomed: BindingInfo = {
    ...found.info,
    state: 'deleting',
    since: timestamp(),
    operation: newOperationId(),
    overtaken,
  }
  if (accounts.by === 'declaration' && !asynchronous) {
    const { state } = await readInside(broker, instance)
    if (state !== 'gone' && state !== 'suspended') throw usersTakeAWhile()
  }
  const [intent, around] = await Promise.allSettled([
    decision === 'under way' ? Promise.resolve(found) : write(broker, found, doomed),
    readInside(broker, instance),
  ])
  if (intent.status === 'rejected') throw intent.reason
  if (around.status === 'rejected') throw around.reason
  const record = intent.value
  // Nobody can log in to a suspended database; its users are removed before it is handed out again.
  if (around.value.state === 'suspended') return { state: 'done', created: false, value: null }
  if (around.value.state === 'unreachable' && !asynchronous) {
    // Nothing has been done yet: the binding is as it was.
    if (decision !== 'under way') await write(broker, record, found.info)
    throw new BrokerError(
      'AsyncRequired',
      `the database cannot be reached just now (${around.value.why}): send accepts_incomplete=true`,
    )
  }
  let removal = await remove(broker, instance, record, around.value, 'removals')
  if (removal.state === 'failed' && decision === 'under way') {
    // Sent again, it is tried again.
    const again = await write(broker, record, doomed)
    removal = await remove(broker, instance, again, around.value, 'removals')
  }
  if (removal.state === 'removed') {
    if (decision === 'clean up') throw new BrokerError('Gone', 'the service binding was never made')
    return { state: 'done', created: false, value: null }
  }
  if (asynchronous) return { state: 'under way', operation: tokenOf('unbind', record) }
  throw new BrokerError(
    'Unavailable',
    `the user could not be removed yet (${removal.why}); send the request again`,
  )
}

/** @returns whether a request that was to make the binding may still be about to make its user */
function beingMade(broker: Broker, { state, contested, since }: BindingInfo): boolean {
  return (state === 'creating' || contested) && age(since) < broker.abandonedAfter
}
