/** What a page shows of an instance, as the cluster has it just now: plain values, read side by side. No Secret is read. */
import * as v from 'valibot'
import { errorFields, log } from '../environment/log.ts'
import { type Condition, Event, Metadata, Resource } from '../kubedb/cluster/object.ts'
import type { Database, Reach } from '../kubedb/databases/database.ts'
import { kindOf } from '../kubedb/databases/kinds.ts'
import { readDatabase } from '../kubedb/observed/database.ts'
import { readApplicationReach } from '../kubedb/observed/reach.ts'
import { halted } from '../kubedb/observed/readiness.ts'
import { type BindingInfo, listBindingRecords } from '../kubedb/records/binding-record.ts'
import type { Broker } from '../kubedb/records/broker.ts'
import { instanceState } from '../kubedb/records/decide.ts'
import type { InstanceRecord } from '../kubedb/records/instance-record.ts'
import { hash26, instanceLabel } from '../kubedb/records/names.ts'
import type { Catalog } from '../osb/catalog/catalog.ts'
import { BrokerError } from '../values/errors.ts'
import { isObject } from '../values/json.ts'

/** In one word, and what colour goes with it. */
export interface State {
  word: string
  tone: 'good' | 'busy' | 'bad' | 'still'
  sentence: string
}

export interface Node {
  name: string
  role: string
  phase: string
  ready: boolean
  restarts: number
  since: string
}

/** Something that was changed, or is being changed. */
export interface Change {
  what: string
  state: string
  running: boolean
  at: string
  detail: string
  /** steps that are done, of how many */
  steps?: { done: number; all: number }
}

/** A part of the page that could not be read is undefined, and the page says so. */
export interface View {
  id: string
  name: string
  service: string
  plan: string
  kind: string
  version: string
  /** version that a newer maintenance_info would bring */
  upgrade: string | undefined
  state: State
  /** whether something is under way, so that it is worth looking again soon */
  moving: boolean
  created: string
  place: { organization: string; space: string; namespace: string; database: string }
  storage: { part: string; size: string }[]
  reach: Reach | { pending: string }
  conditions: readonly Condition[]
  nodes: Node[] | undefined
  bindings: BindingInfo[] | undefined
  changes: Change[] | undefined
  events: Event[] | undefined
  /** of the operator's own, in the plan */
  planPage: string | undefined
}

const Pod = v.object({
  metadata: Metadata,
  status: v.optional(
    v.object({
      phase: v.optional(v.string(), ''),
      startTime: v.optional(v.string(), ''),
      conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []),
      containerStatuses: v.optional(v.array(v.object({ restartCount: v.optional(v.number(), 0) })), []),
    }),
    { phase: '', startTime: '', conditions: [], containerStatuses: [] },
  ),
})

const mostEvents = 10

/** @throws {BrokerError} Unavailable where the database itself cannot be read */
export async function readView(broker: Broker, record: InstanceRecord, catalog: Catalog): Promise<View> {
  const { info, operation, database: at } = record
  const kind = kindOf(at.kind)
  const label = `labelSelector=${encodeURIComponent(`${instanceLabel}=${hash26(info.instanceId)}`)}`
  const [database, reach, bindings, requests, nodes, events] = await Promise.all([
    readDatabase(broker, record),
    readReach(broker, record),
    part('bindings', listBindingRecords(broker.cluster, broker.namespace, info.instanceId)),
    part(
      'OpsRequests',
      broker.cluster.list(
        Resource,
        { api: '/apis/ops.kubedb.com/v1alpha1', namespace: at.namespace, plural: kind.opsPlural },
        label,
      ),
    ),
    part('pods', readNodes(broker, record)),
    part('events', readEvents(broker, record)),
  ])
  const service = catalog.service(info.serviceId)
  const plan = catalog.plan(info.serviceId, info.planId)
  const given = info.context.instance_name
  const unfinished = requests?.some((one) => isRunning(one.status.phase)) ?? false
  const coming =
    bindings?.readable.some(({ info: { state } }) => state === 'creating' || state === 'deleting') ?? false
  return {
    id: info.instanceId,
    name: typeof given === 'string' && given !== '' ? given : info.instanceId,
    service: service?.name ?? 'a service that is offered no more',
    plan: plan?.name ?? 'a plan that is offered no more',
    kind: at.kind,
    version: info.maintenance,
    upgrade: plan && isNewer(plan.maintenanceVersion, info.maintenance) ? plan.maintenanceVersion : undefined,
    state: stateOf(record, database),
    moving: operation.state === 'in progress' || unfinished || coming,
    created: info.created,
    place: {
      organization: nameIn(info.context.organization_name, info.organizationGuid),
      space: nameIn(info.context.space_name, info.spaceGuid),
      namespace: at.namespace,
      database: at.name,
    },
    storage: storageOf(kind, record),
    reach,
    conditions: [...(database?.status.conditions ?? [])].sort((one, other) =>
      other.lastTransitionTime.localeCompare(one.lastTransitionTime),
    ),
    nodes,
    bindings: bindings?.readable
      .map((one) => one.info)
      .sort((one, other) => other.created.localeCompare(one.created)),
    changes: requests && changesOf(record, requests),
    events,
    planPage: info.dashboardUrl,
  }
}

/** One part that fails does not take the page with it. */
async function part<T>(what: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    log('warn', `the dashboard could not read ${what}`, { error: errorFields(error) })
    return undefined
  }
}

async function readReach(broker: Broker, record: InstanceRecord): Promise<View['reach']> {
  try {
    return await readApplicationReach(broker, record)
  } catch (error) {
    if (error instanceof BrokerError) return { pending: error.message }
    throw error
  }
}

async function readNodes(broker: Broker, { database }: InstanceRecord): Promise<Node[]> {
  const selector = `app.kubernetes.io/instance=${database.name},app.kubernetes.io/managed-by=kubedb.com`
  const pods = await broker.cluster.list(
    Pod,
    { api: '/api/v1', namespace: database.namespace, plural: 'pods' },
    `labelSelector=${encodeURIComponent(selector)}`,
  )
  return pods
    .map(({ metadata, status }) => ({
      name: metadata.name,
      role: metadata.labels['kubedb.com/role'] ?? '',
      phase: metadata.deletionTimestamp === undefined ? status.phase : 'Terminating',
      ready: status.conditions.some((one) => one.type === 'Ready' && one.status === 'True'),
      restarts: status.containerStatuses.reduce((sum, one) => sum + one.restartCount, 0),
      since: status.startTime || metadata.creationTimestamp,
    }))
    .sort((one, other) => one.name.localeCompare(other.name))
}

/** @returns when an event was last seen */
export const timeOf = (event: Event): string =>
  event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp

async function readEvents(broker: Broker, { database }: InstanceRecord): Promise<Event[]> {
  const selector = `involvedObject.name=${database.name},involvedObject.kind=${database.kind}`
  const events = await broker.cluster.list(
    Event,
    { api: '/api/v1', namespace: database.namespace, plural: 'events' },
    `fieldSelector=${encodeURIComponent(selector)}&limit=200`,
  )
  return events.sort((one, other) => timeOf(other).localeCompare(timeOf(one))).slice(0, mostEvents)
}

function stateOf(record: InstanceRecord, database: Resource | undefined): State {
  const { operation } = record
  const why = operation.description
  switch (instanceState(record)) {
    case 'absent':
      return { word: 'Absent', tone: 'still', sentence: '' }
    case 'provisioning':
      return { word: 'Provisioning', tone: 'busy', sentence: why || 'The database is being made.' }
    case 'failed':
      return { word: 'Failed', tone: 'bad', sentence: why || 'The database could not be made.' }
    case 'deprovisioning':
      return operation.state === 'failed'
        ? { word: 'Stuck', tone: 'bad', sentence: why || 'The database could not be removed.' }
        : { word: 'Deprovisioning', tone: 'busy', sentence: 'The database and its data are being removed.' }
    case 'updating':
      return { word: 'Updating', tone: 'busy', sentence: why || 'A change is being made.' }
    case 'ready':
      return liveState(database, operation.type === 'update' && operation.state === 'failed' ? why : '')
  }
}

function liveState(database: Resource | undefined, failedUpdate: string): State {
  if (!database)
    return { word: 'Missing', tone: 'bad', sentence: 'The database has been removed by somebody else.' }
  if (halted(database))
    return { word: 'Suspended', tone: 'still', sentence: 'The database is stopped; its disk is kept.' }
  const last = failedUpdate === '' ? '' : ` The last change failed: ${failedUpdate}`
  const { phase } = database.status
  return phase === 'Ready'
    ? { word: 'Ready', tone: 'good', sentence: `The database takes connections.${last}` }
    : {
        word: phase || 'Unknown',
        tone: 'bad',
        sentence: `KubeDB calls the database ${phase || 'nothing yet'}.${last}`,
      }
}

const nameIn = (name: unknown, id: string): string => (typeof name === 'string' && name !== '' ? name : id)

function storageOf(kind: Database, { info }: InstanceRecord): View['storage'] {
  const sizes = kind.dimensions.find(({ name }) => name === 'storage')?.read(info.resolved.spec)
  return isObject(sizes)
    ? Object.entries(sizes).flatMap(([name, size]) =>
        size === null ? [] : [{ part: name, size: String(size) }],
      )
    : []
}

const isRunning = (phase: string): boolean =>
  ['', 'Pending', 'Progressing', 'WaitingForApproval'].includes(phase)

/** Newest first: what KubeDB was asked for, the operation that the platform began, and the beginning of it all. */
function changesOf({ info, operation }: InstanceRecord, requests: readonly Resource[]): Change[] {
  const asked = requests.map(({ metadata, spec, status }): Change => {
    const last = [...status.conditions]
      .sort((one, other) => one.lastTransitionTime.localeCompare(other.lastTransitionTime))
      .at(-1)
    return {
      what: String(spec.type ?? 'OpsRequest'),
      state: status.phase || 'Pending',
      running: isRunning(status.phase),
      at: metadata.creationTimestamp,
      detail: last?.message ?? '',
    }
  })
  const own: Change = {
    what: { provision: 'Provisioned', update: 'Update', deprovision: 'Deprovisioning' }[operation.type],
    state: operation.state,
    running: operation.state === 'in progress',
    at: operation.started,
    detail: operation.description,
    ...(operation.type === 'update' && operation.steps.length > 0
      ? {
          steps: {
            done: operation.steps.filter(({ state }) => state === 'done').length,
            all: operation.steps.length,
          },
        }
      : {}),
  }
  const first: Change[] =
    operation.type === 'provision'
      ? []
      : [{ what: 'Provisioned', state: 'succeeded', running: false, at: info.created, detail: '' }]
  return [...asked, own, ...first].sort((one, other) => other.at.localeCompare(one.at))
}

/** @returns whether one semantic version comes after another; pre-releases do not count */
function isNewer(one: string, other: string): boolean {
  const parts = (version: string) => version.split(/[.+-]/, 3).map(Number)
  const [a, b] = [parts(one), parts(other)]
  for (const index of [0, 1, 2]) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}
