/** Polling service bindings: every poll carries on what is under way. */
import { BrokerError } from '../../values/errors.ts'
import type { LastOperation } from '../../values/nouns.ts'
import { readInside, readSurroundings } from '../observed/reach.ts'
import { patience } from '../observed/readiness.ts'
import type { BindingRecord } from '../records/binding-record.ts'
import { age, type Broker, Overtaken } from '../records/broker.ts'
import { type InstanceRecord, userFacing } from '../records/instance-record.ts'
import type { OperationHint } from '../records/token.ts'
import { complete, Refused } from './making.ts'
import { remove } from './removal.ts'
import { write } from './writing.ts'

/**
 * OSB "Polling Last Operation for Service Bindings": every poll first carries on what is under way.
 *
 * @param instance undefined when it does not exist
 * @throws {BrokerError} NotFound when there is no such binding and the hint does not say what became of it
 * @throws {Overtaken}
 */
export async function pollBinding(
  broker: Broker,
  instance: InstanceRecord | undefined,
  record: BindingRecord | undefined,
  hint: OperationHint | undefined,
): Promise<LastOperation> {
  const newer = record && hint?.type === 'unbind' && hint.uid !== '' && hint.uid !== record.uid
  if (!record || !instance || newer) {
    if (hint?.type === 'unbind') return { state: 'gone' }
    if (hint?.type === 'bind' && hint.id !== '')
      return { state: 'failed', description: 'the service binding is gone' }
    throw new BrokerError('NotFound', 'there is no such service binding')
  }
  switch (record.info.state) {
    case 'ready':
      return { state: 'succeeded', description: 'the service binding is ready' }
    case 'failed':
      return {
        state: 'failed',
        description: record.info.description || 'the service binding could not be made',
      }
    case 'creating':
      return pollCreation(broker, instance, record)
    case 'deleting': {
      const around = await readInside(broker, instance)
      const removal = await remove(broker, instance, record, around, 'all')
      if (hint?.type === 'bind') {
        return { state: 'failed', description: 'the service binding was removed while it was being made' }
      }
      if (removal.state === 'removed' || around.state === 'suspended') return { state: 'gone' }
      const description = userFacing(`the user is being removed: ${removal.why}`)
      const late = age(record.info.since) > patience(instance.info.maximumPollingDuration)
      const failed = removal.state === 'failed' || (removal.state === 'refused' && late)
      return { state: failed ? 'failed' : 'in progress', description }
    }
  }
}

async function pollCreation(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
): Promise<LastOperation> {
  const around = await readSurroundings(broker, instance)
  let why = 'why' in around ? around.why : 'the database is gone'
  if (around.state === 'reachable') {
    try {
      const outcome = await complete(broker, instance, record, around, true, 'found')
      if (outcome.state === 'done') return { state: 'succeeded', description: 'the service binding is ready' }
      why = outcome.why ?? 'the database does not take connections'
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.problem === 'ConcurrencyError') throw new Overtaken({ cause: error })
      if (error.problem !== 'Unavailable' && !(error instanceof Refused)) throw error
      why = error.message
    }
  }
  if (around.state === 'gone' || age(record.info.created) > patience(instance.info.maximumPollingDuration)) {
    const description = userFacing(why)
    await write(broker, record, { ...record.info, state: 'failed', description })
    return { state: 'failed', description }
  }
  return { state: 'in progress', description: userFacing(why) }
}
