/** How a database is reached: for the broker itself, and for the applications that get its credentials. */
import { BrokerError } from '../../values/errors.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { AppBinding, Resource, Secret, type Service } from '../cluster/object.ts'
import type { Admin, Database, Reach } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import type { Broker } from '../records/broker.ts'
import { databases, type InstanceRecord, records } from '../records/instance-record.ts'
import { hash26, instanceLabel } from '../records/names.ts'
import { outsideAddress, readPrimaryService } from './outside-address.ts'
import { halted, unreachable } from './readiness.ts'

/** What the cluster says about a database that has users. */
export type Inside =
  /** the object is gone or going: its users go with it */
  | { state: 'gone' }
  /** stopped until somebody resumes it: nobody can log in */
  | { state: 'suspended'; why: string }
  /** cannot be reached just now, and why */
  | { state: 'unreachable'; why: string }
  | { state: 'reachable'; admin: Omit<Admin, 'deadline' | 'signal'> }

/** The same, and where applications reach it. */
export type Surroundings =
  | Exclude<Inside, { state: 'reachable' }>
  | (Extract<Inside, { state: 'reachable' }> & { application: Reach })

/**
 * Database, AppBinding, auth Secret and, for addresses outside the cluster, Service, side by side.
 *
 * @throws {BrokerError} when the API server does not answer
 */
export async function readSurroundings(broker: Broker, record: InstanceRecord): Promise<Surroundings> {
  try {
    const [{ inside: around, binding }, service] = await Promise.all([
      readAround(broker, record),
      readPrimaryService(broker, record.database),
    ])
    if (around.state !== 'reachable' || !binding) return around.state === 'reachable' ? unpublished : around
    const application = applicationReach(broker, record, binding, service)
    return typeof application === 'string'
      ? { state: 'unreachable', why: application }
      : { ...around, application }
  } catch (error) {
    throw translate(error, 'reading the database')
  }
}

/**
 * Database, AppBinding and auth Secret, side by side.
 *
 * @throws {BrokerError} when the API server does not answer
 */
export async function readInside(broker: Broker, record: InstanceRecord): Promise<Inside> {
  try {
    return (await readAround(broker, record)).inside
  } catch (error) {
    throw translate(error, 'reading the database')
  }
}

const unpublished = {
  state: 'unreachable',
  why: 'KubeDB has not published the address of the database yet',
} as const

async function readAround(
  broker: Broker,
  record: InstanceRecord,
): Promise<{ inside: Inside; binding?: AppBinding }> {
  const { kind, namespace, name } = record.database
  const [database, binding, guessed] = await Promise.all([
    broker.cluster.get(Resource, databases(kindOf(kind), namespace), name),
    broker.cluster.get(AppBinding, records(namespace), name),
    readSecret(broker, namespace, `${name}-auth`),
  ])
  if (database?.metadata.labels[instanceLabel] !== hash26(record.info.instanceId)) {
    return { inside: { state: 'gone' } }
  }
  if (database.metadata.deletionTimestamp) return { inside: { state: 'gone' } }
  const why = unreachable(database)
  if (why !== undefined) return { inside: { state: halted(database) ? 'suspended' : 'unreachable', why } }
  if (!binding) return { inside: unpublished }
  const secret = await authSecretOf(broker, record, binding, guessed)
  const administrator = administratorOf(kindOf(kind), secret)
  if (!administrator) {
    return { inside: { state: 'unreachable', why: 'KubeDB has not made the password of the database yet' } }
  }
  const reach = inside(record, binding)
  const admin = {
    ...reach,
    // What runs now, not what was asked for: an update may be under way.
    members: kindOf(kind).members({ name, namespace, spec: database.spec }),
    username: administrator.name,
    password: administrator.password,
  }
  return { inside: { state: 'reachable', admin }, binding }
}

const readSecret = (broker: Broker, namespace: string, name: string): Promise<Secret | undefined> =>
  broker.cluster.get(Secret, { api: '/api/v1', namespace, plural: 'secrets' }, name)

/**
 * The Secret that the AppBinding names.
 *
 * @param guessed the one of KubeDB's usual name, which has been read beside the AppBinding: mostly it is that one
 */
async function authSecretOf(
  broker: Broker,
  { database: { namespace, name } }: InstanceRecord,
  binding: AppBinding | undefined,
  guessed: Secret | undefined,
): Promise<Secret | undefined> {
  const named = binding?.spec.secret?.name ?? `${name}-auth`
  return named === `${name}-auth` ? guessed : readSecret(broker, namespace, named)
}

function administratorOf(
  { accounts }: Database,
  secret: Secret | undefined,
): { name: string; password: string } | undefined {
  if (!secret) return undefined
  if (accounts.by === 'sharing') {
    return accounts.read(
      Object.fromEntries(Object.entries(secret.data).map(([key, value]) => [key, decode(value)])),
    )
  }
  const { username, password } = secret.data
  return username === undefined || password === undefined
    ? undefined
    : { name: decode(username), password: decode(password) }
}

/**
 * The account that all bindings of a database share, and where applications reach it.
 *
 * @throws {BrokerError} Unavailable as long as either is not known
 */
export async function readShared(
  broker: Broker,
  record: InstanceRecord,
): Promise<{ account: { name: string; password: string }; reach: Reach }> {
  const { kind, namespace, name } = record.database
  try {
    const [{ reach, binding }, guessed] = await Promise.all([
      readApplication(broker, record),
      readSecret(broker, namespace, `${name}-auth`),
    ])
    const account = administratorOf(kindOf(kind), await authSecretOf(broker, record, binding, guessed))
    if (!account) {
      throw new BrokerError(
        'Unavailable',
        'the password of the database is not known just now; try again later',
      )
    }
    return { account, reach }
  } catch (error) {
    throw error instanceof ApiError ? translate(error, 'reading how the database is reached') : error
  }
}

/**
 * Where applications reach the database, for a binding that is ready. Reads no secret.
 *
 * @throws {BrokerError} Unavailable while the database has no address, e.g. while it is suspended
 */
export async function readApplicationReach(broker: Broker, record: InstanceRecord): Promise<Reach> {
  try {
    return (await readApplication(broker, record)).reach
  } catch (error) {
    throw error instanceof ApiError ? translate(error, 'reading the address of the database') : error
  }
}

async function readApplication(
  broker: Broker,
  record: InstanceRecord,
): Promise<{ reach: Reach; binding: AppBinding | undefined }> {
  const { namespace, name } = record.database
  const [binding, service] = await Promise.all([
    broker.cluster.get(AppBinding, records(namespace), name),
    readPrimaryService(broker, record.database),
  ])
  const reach = binding ? applicationReach(broker, record, binding, service) : 'the database is not running'
  if (typeof reach === 'string') {
    throw new BrokerError(
      'Unavailable',
      `the address of the database is not known just now: ${reach}; try again later`,
    )
  }
  return { reach, binding }
}

/** AppBindings name the in-cluster Service; its `url` differs from kind to kind and is not used. */
function inside(record: InstanceRecord, binding: AppBinding): Reach {
  const service = binding.spec.clientConfig.service
  if (!service) throw new BrokerError('Unavailable', 'the AppBinding of the database names no Service')
  const { kind, name, namespace } = record.database
  const host = `${service.name}.${service.namespace ?? namespace}.svc`
  const ca = binding.spec.clientConfig.caBundle
  const place = { name, namespace, spec: record.info.resolved.spec }
  return {
    ...place,
    scheme: service.scheme,
    host,
    hosts: kindOf(kind).hosts?.(place) ?? [host],
    port: service.port,
    database: record.info.resolved.database,
    query: service.query,
    external: false,
    caBundle: ca === undefined ? undefined : decode(ca),
  }
}

/** @returns the address for applications, or why there is none yet */
function applicationReach(
  broker: Broker,
  record: InstanceRecord,
  binding: AppBinding,
  service: Service | undefined,
): Reach | string {
  const reach = inside(record, binding)
  if (broker.settings.addresses === 'cluster') return reach
  const address = outsideAddress(broker.settings, service, reach.port)
  return 'pending' in address
    ? address.pending
    : { ...reach, ...address, hosts: [address.host], external: true }
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8')
