/**
 * Users that KubeDB makes and removes by OpsRequests: one request at a time, with everything that the binding records
 * ask for. Whoever polls, binds or unbinds carries all bindings of the instance on.
 */
import { errorFields, log } from '../../environment/log.ts'
import { BrokerError } from '../../values/errors.ts'
import type { JsonObject } from '../../values/json.ts'
import { ApiError, refusal, translate } from '../cluster/api-error.ts'
import { Resource } from '../cluster/object.ts'
import type { Accounts } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import {
  type BindingInfo,
  type BindingRecord,
  isExpired,
  listBindingRecords,
  removeBindingRecord,
  writeBindingRecord,
} from '../records/binding-record.ts'
import { age, type Broker, newOperationId, Overtaken } from '../records/broker.ts'
import { databases, type InstanceRecord, userFacing } from '../records/instance-record.ts'
import { annotations, hash26, instanceLabel } from '../records/names.ts'
import { opsRequests } from '../steps/steps.ts'
import { ownAccount } from './accounts.ts'
import { fateOf, planUsers, type UserRecord, type UsersRequest } from './declared-plan.ts'
import { storeUserPasswords } from './users-secret.ts'

/** How far a binding's user is. */
export type UserOutcome =
  | { state: 'made' }
  /** and so is its record */
  | { state: 'removed' }
  | { state: 'failed'; why: string }
  | { state: 'waiting'; why: string }
  /** KubeDB does not take the request; another time it may */
  | { state: 'refused'; why: string }

/** What the function may do that carries the users on: `removals`, where it has neither keys nor Secrets to write. */
export type Scope = 'all' | 'removals'

/** How long KubeDB may take for each step of a request. */
const timeout = '10m'

type Declaration = Extract<Accounts, { by: 'declaration' }>

/**
 * Carries the users of an instance as far as they go now. Calling it again does no harm.
 *
 * @returns what became of each user that a record asks for
 * @throws {BrokerError}
 * @throws {Overtaken} when the database is not there any more
 */
export async function advanceUsers(
  broker: Broker,
  instance: InstanceRecord,
  accounts: Declaration,
  scope: Scope,
): Promise<(user: string) => UserOutcome> {
  const { database, requests, records, unreadable } = await readSituation(broker, instance, accounts)
  const plan = planUsers({
    declared: accounts.declared(database.spec),
    requests,
    records: records.map((record) => userRecord(broker, record)),
    unreadable,
  })
  const outcomes = new Map<string, UserOutcome>()
  const waiting = plan.next.do === 'wait' ? plan.next.why : 'KubeDB is asked for it'
  const of = (users: readonly string[]) => records.filter(({ info }) => users.includes(info.user))

  const removed = of(plan.removed)
  if (scope === 'all' && removed.length > 0) {
    await storeUserPasswords(
      broker,
      instance,
      database,
      removed.map(({ info }) => [info.user, null]),
    )
  }
  await Promise.all([
    ...of(plan.made).map(async (record) => {
      if (await written(broker, record, { state: 'ready', description: '' }))
        outcomes.set(record.info.user, { state: 'made' })
    }),
    ...removed.map(async (record) => {
      await removeBindingRecord(broker.cluster, broker.namespace, record).catch(unlessOvertaken)
      outcomes.set(record.info.user, { state: 'removed' })
    }),
    ...plan.failed.map(async ({ user, why }) => {
      const description = userFacing(why || 'KubeDB could not do it, and does not say why')
      outcomes.set(user, { state: 'failed', why: description })
      for (const record of of([user])) {
        if (record.info.state === 'creating') await written(broker, record, { state: 'failed', description })
      }
    }),
  ])
  if (plan.next.do === 'request') {
    const { number, make, remove } = plan.next
    const wanted = scope === 'all' ? of(make) : []
    await request(broker, instance, accounts, database, { number, make: wanted, remove }, (user, outcome) =>
      outcomes.set(user, outcome),
    )
    await forgetRequests(broker, instance, plan.over)
  }
  return (user) => outcomes.get(user) ?? { state: 'waiting', why: userFacing(waiting) }
}

/**
 * @returns whether KubeDB has made the user of a binding that is ready
 * @throws {Overtaken} when the database is not there any more
 */
export async function isDeclared(
  broker: Broker,
  instance: InstanceRecord,
  accounts: Declaration,
  user: string,
): Promise<boolean> {
  const [requests, database] = await Promise.all([
    listRequests(broker, instance, accounts),
    readDatabase(broker, instance),
  ]).catch((error: unknown) => {
    throw translated(error)
  })
  return fateOf(user, { declared: accounts.declared(database.spec), requests }).is !== 'absent'
}

async function readSituation(broker: Broker, instance: InstanceRecord, accounts: Declaration) {
  try {
    const [requests, { readable, unreadable }] = await Promise.all([
      listRequests(broker, instance, accounts),
      listBindingRecords(broker.cluster, broker.namespace, instance.info.instanceId),
    ])
    // After the requests: what they have made or removed by then shows in it.
    const database = await readDatabase(broker, instance)
    return { database, requests, records: readable, unreadable: unreadable.length > 0 }
  } catch (error) {
    throw translated(error)
  }
}

const translated = (error: unknown): Error =>
  error instanceof Overtaken ? error : translate(error, 'reading what KubeDB does for the database')

async function readDatabase(broker: Broker, { database, info }: InstanceRecord): Promise<Resource> {
  const found = await broker.cluster.get(
    Resource,
    databases(kindOf(database.kind), database.namespace),
    database.name,
  )
  if (found?.metadata.labels[instanceLabel] !== hash26(info.instanceId)) throw new Overtaken()
  return found
}

/** The requests of this instance, also those of updates: they take turns. */
async function listRequests(
  broker: Broker,
  { database, info }: InstanceRecord,
  accounts: Declaration,
): Promise<UsersRequest[]> {
  const found = await broker.cluster.list(
    Resource,
    opsRequests(database.namespace, kindOf(database.kind)),
    `labelSelector=${encodeURIComponent(`${instanceLabel}=${hash26(info.instanceId)}`)}`,
  )
  return found.map(({ metadata, spec, status }) => ({
    number: numberOf(database.name, metadata.name),
    phase: status.phase,
    ...accounts.carried(spec),
    created: Date.parse(metadata.creationTimestamp),
    message: status.conditions.findLast((one) => one.message !== '')?.message ?? '',
  }))
}

const requestName = (database: string, number: number): string => `${database}-users-${number}`

function numberOf(database: string, name: string): number {
  const digits = name.startsWith(`${database}-users-`) ? name.slice(`${database}-users-`.length) : ''
  return /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0
}

function userRecord(broker: Broker, { info }: BindingRecord): UserRecord {
  const { user, state, request, since } = info
  const settled = age(since) >= broker.abandonedAfter
  return { user, state, request, since: Date.parse(since), settled, expired: isExpired(info) }
}

/** @returns the record, undefined where it was not any more as it was read */
async function written(
  broker: Broker,
  record: BindingRecord,
  change: Partial<BindingInfo>,
): Promise<BindingRecord | undefined> {
  const info = { ...record.info, ...change }
  return writeBindingRecord(broker.cluster, broker.namespace, record, info).catch((error: unknown) => {
    unlessOvertaken(error)
    return undefined
  })
}

/**
 * Notes the number of the request that is to make the binding's user. Whoever notes one that is noted already changes
 * the record too, so that nobody else takes it out again.
 */
function noted(broker: Broker, record: BindingRecord, number: number): Promise<BindingRecord | undefined> {
  return written(broker, record, { request: number, contested: record.info.request === number })
}

/** No request of this number will make the user, unless somebody else has noted it too. */
async function takenBack(broker: Broker, before: BindingRecord, now: BindingRecord): Promise<void> {
  if (before.info.request !== now.info.request) await written(broker, now, { request: before.info.request })
}

/** Whoever was first has changed what is to be done; the next look sees it. */
function unlessOvertaken(error: unknown): void {
  if (!(error instanceof ApiError && (error.conflict || error.absent)))
    throw translate(error, 'writing the binding record')
}

/** Notes the number in the records, stores the passwords, and only then asks KubeDB. */
async function request(
  broker: Broker,
  instance: InstanceRecord,
  accounts: Declaration,
  database: Resource,
  wanted: { number: number; make: readonly BindingRecord[]; remove: readonly string[] },
  tell: (user: string, outcome: UserOutcome) => void,
): Promise<void> {
  const { number, remove } = wanted
  const candidates = await Promise.all(
    wanted.make.map(async (record) => {
      const account = await ownAccount(broker, record.info).catch((error: unknown) => {
        // A key that is missing is that binding's trouble alone.
        if (!(error instanceof BrokerError)) throw error
        tell(record.info.user, { state: 'waiting', why: error.message })
        return undefined
      })
      if (account === undefined) return undefined
      const now = await noted(broker, record, number)
      return now && { account, before: record, now }
    }),
  )
  const claimed = candidates.filter((one) => one !== undefined)
  const make = claimed.map(({ account }) => account)
  if (make.length + remove.length === 0) return
  const secret =
    make.length === 0
      ? ''
      : await storeUserPasswords(
          broker,
          instance,
          database,
          make.map(({ name, password }) => [name, password]),
        )
  const { type, body } = accounts.request(database.spec, { secret, make, remove })
  try {
    await broker.cluster.create(
      Resource,
      opsRequests(instance.database.namespace, kindOf(instance.database.kind)),
      draft(instance, database, number, { type, apply: 'IfReady', timeout, ...body }),
    )
  } catch (error) {
    // Another function was first with this number: what it did not carry comes next.
    if (error instanceof ApiError && error.conflict) return
    const said = error instanceof ApiError ? refusal(error) : undefined
    if (said === undefined) throw translate(error, 'asking KubeDB for users')
    const why = `KubeDB refuses to change the users of the database: ${userFacing(said)}`
    log('error', why, { error: errorFields(error) })
    await Promise.all(claimed.map(({ before, now }) => takenBack(broker, before, now)))
    for (const user of [...make.map(({ name }) => name), ...remove]) tell(user, { state: 'refused', why })
  }
}

function draft(instance: InstanceRecord, database: Resource, number: number, spec: JsonObject) {
  const kind = kindOf(instance.database.kind)
  const { name, namespace, uid } = database.metadata
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: kind.opsKind,
    metadata: {
      name: requestName(name, number),
      namespace,
      labels: { [instanceLabel]: hash26(instance.info.instanceId) },
      annotations: { [annotations.operation]: newOperationId() },
      ownerReferences: [{ apiVersion: kind.apiVersion, kind: kind.kind, name, uid }],
    },
    spec: { databaseRef: { name }, ...spec },
  }
}

/** Requests that have nothing to tell any more; the next time will do as well. */
async function forgetRequests(
  broker: Broker,
  { database }: InstanceRecord,
  numbers: readonly number[],
): Promise<void> {
  const collection = opsRequests(database.namespace, kindOf(database.kind))
  await Promise.all(
    numbers.map((number) => broker.cluster.remove(collection, requestName(database.name, number))),
  ).catch((error: unknown) =>
    log('warn', 'OpsRequests that have ended could not be removed', { error: errorFields(error) }),
  )
}
