/** Making service bindings: the record first, then the engine's user. */
import { BrokerError } from '../../values/errors.ts'
import type { Outcome, Role } from '../../values/nouns.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { Unreachable, type Users } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { credentialsOf } from '../databases/parts/library-keys.ts'
import { readSurroundings, type Surroundings } from '../observed/reach.ts'
import {
  type BindingInfo,
  type BindingRecord,
  createBindingRecord,
  isExpired,
  removeBindingRecord,
} from '../records/binding-record.ts'
import { type Broker, newOperationId, Overtaken, timestamp, writeFailed } from '../records/broker.ts'
import { bindable, binding, bindingState, instanceState } from '../records/decide.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { fitsRecord } from '../records/record-size.ts'
import { ownAccount } from './accounts.ts'
import { isDeclared } from './declared-users.ts'
import { openUsers } from './engine.ts'
import { type Bound, findBinding, show } from './fetch.ts'
import { complete, declared, engineFailed, ready } from './making.ts'
import { newNonce, userName } from './passwords.ts'
import { remove } from './removal.ts'
import { type BindingAttributes, sameBinding } from './same-binding.ts'
import { usersTakeAWhile, write } from './writing.ts'

export interface BindRequest extends BindingAttributes {
  bindingId: string
  role: Role
  /** of credentials that are made now */
  expiry: { expiresAt: string; renewBefore: string } | undefined
}

/**
 * OSB "Binding".
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @throws {BrokerError} by the idempotency table
 * @throws {Overtaken}
 */
export async function bind(
  broker: Broker,
  instance: InstanceRecord,
  request: BindRequest,
  asynchronous: boolean,
): Promise<Outcome<Bound>> {
  switch (bindable[instanceState(instance)]) {
    case 'not found':
      throw new BrokerError('NotFound', 'there is no such service instance')
    case 'busy':
      throw new BrokerError(
        'ConcurrencyError',
        'the service instance is being made or removed; wait for its last operation',
      )
    case 'impossible':
      throw new BrokerError('Unprocessable', 'the service instance failed to be provisioned; deprovision it')
    case 'proceed':
  }
  const { accounts } = kindOf(instance.database.kind)
  if (accounts.by === 'declaration' && !asynchronous) {
    // Whoever cannot wait is told so before anything is written; what is there already has its own answer.
    const existing = await findBinding(broker, instance.info.instanceId, request.bindingId)
    if (!existing) throw usersTakeAWhile()
    return bindAgain(broker, instance, existing, request, asynchronous, undefined)
  }
  fitsRecord('app_guid', request.appGuid, 'id')
  const nonce = newNonce()
  const now = timestamp()
  const info: BindingInfo = {
    v: 1,
    bindingId: request.bindingId,
    instanceId: instance.info.instanceId,
    serviceId: request.serviceId,
    planId: request.planId,
    appGuid: request.appGuid,
    ...(request.use === undefined ? {} : { use: request.use }),
    parameters: request.parameters,
    role: request.role,
    user: userName(request.bindingId, nonce),
    nonce,
    keyId: await broker.keys.newest(),
    scheme: 1,
    state: 'creating',
    since: now,
    created: now,
    ...request.expiry,
    ...(request.predecessor === undefined ? {} : { predecessor: request.predecessor }),
    operation: newOperationId(),
    contested: false,
    overtaken: false,
    request: 0,
    description: '',
  }
  const [made, around] = await Promise.allSettled([
    createBindingRecord(broker.cluster, broker.namespace, info),
    readSurroundings(broker, instance),
  ])
  if (made.status === 'rejected') {
    if (!(made.reason instanceof ApiError && made.reason.conflict))
      throw translate(made.reason, 'writing the binding record')
    const existing = await findBinding(broker, instance.info.instanceId, request.bindingId)
    if (!existing) throw new Overtaken({ cause: made.reason })
    return bindAgain(
      broker,
      instance,
      existing,
      request,
      asynchronous,
      around.status === 'fulfilled' ? around.value : undefined,
    )
  }
  const record = made.value
  try {
    if (around.status === 'rejected') throw around.reason
    return await complete(broker, instance, record, around.value, asynchronous, 'made just now')
  } catch (error) {
    // Nothing has been made, so nothing may be left; what failed half-way is finished by a retry or an unbind.
    const refused = error instanceof BrokerError && error.problem === 'AsyncRequired'
    if (refused || (around.status === 'fulfilled' && around.value.state === 'gone')) {
      await removeBindingRecord(broker.cluster, broker.namespace, record).catch((failure: unknown) => {
        throw writeFailed(failure, 'removing the binding record')
      })
    }
    throw error
  }
}

async function bindAgain(
  broker: Broker,
  instance: InstanceRecord,
  existing: BindingRecord,
  request: BindRequest,
  asynchronous: boolean,
  around: Surroundings | undefined,
): Promise<Outcome<Bound>> {
  const { info } = existing
  const decision = binding[bindingState(existing)]
  switch (sameBinding(info, request) ? decision.same : decision.other) {
    case 'conflict':
      throw new BrokerError(
        'Conflict',
        'the binding id is in use with other attributes (service, plan, app_guid, bind_resource, parameters or predecessor)',
      )
    case 'busy': {
      // A removal that waited for the database may be finished by now, without anybody polling for it.
      const now = around ?? (await readSurroundings(broker, instance))
      const { state } = await remove(broker, instance, existing, now, 'all')
      if (state === 'removed') throw new Overtaken()
      throw new BrokerError(
        'ConcurrencyError',
        'the service binding is being removed; wait for it, then bind again',
      )
    }
    case 'impossible':
      throw new BrokerError(
        'Unprocessable',
        `the service binding could not be made: ${info.description}; unbind it first`,
      )
    case 'create':
    case 'carry on':
      return complete(
        broker,
        instance,
        existing,
        around ?? (await readSurroundings(broker, instance)),
        asynchronous,
        'found',
      )
    case 'identical':
      return healed(broker, instance, existing, around, asynchronous)
  }
}

/**
 * Credentials of a binding that is ready. Where its user is damaged or missing (a restored database), it is made
 * again; where the database cannot be reached, the record's word is enough.
 */
async function healed(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
  surroundings: Surroundings | undefined,
  asynchronous: boolean,
): Promise<Outcome<Bound>> {
  const around = surroundings ?? (await readSurroundings(broker, instance))
  const kind = kindOf(instance.database.kind)
  // What has expired is not made to work again.
  if (around.state !== 'reachable' || isExpired(record.info) || kind.accounts.by === 'sharing') {
    return { state: 'done', created: false, value: await show(broker, instance, record) }
  }
  const account = await ownAccount(broker, record.info)
  const bound = (info: BindingInfo): Outcome<Bound> => ({
    state: 'done',
    created: false,
    value: { info, credentials: credentialsOf(kind, around.application, account), reach: around.application },
  })
  if (kind.accounts.by === 'declaration') {
    if (await isDeclared(broker, instance, kind.accounts, record.info.user)) return bound(record.info)
    if (!asynchronous) throw usersTakeAWhile()
    const creating = await write(broker, record, {
      ...record.info,
      state: 'creating',
      since: timestamp(),
      // From which the polls count how long it may take.
      created: timestamp(),
      operation: newOperationId(),
    })
    return declared(broker, instance, kind.accounts, creating, around, asynchronous)
  }
  let users: Users
  try {
    users = await openUsers(broker, instance.database.kind, around.admin)
  } catch (error) {
    if (error instanceof Unreachable) return bound(record.info)
    throw error
  }
  try {
    if (await users.works(account)) return bound(record.info)
    // Through `creating`, so that an unbind that comes now waits for this request.
    const creating = await write(broker, record, { ...record.info, state: 'creating', since: timestamp() })
    await users.create(account)
    return bound((await ready(broker, creating, () => users.drop(account.name))).info)
  } catch (error) {
    throw engineFailed(error)
  } finally {
    await users.close()
  }
}
