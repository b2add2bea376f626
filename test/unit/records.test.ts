/** Records outlive the functions that wrote them: what version 1 has ever looked like is read for ever. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { AppBinding } from '../../shared/kubedb/cluster/object.ts'
import { parseBindingRecord, UnreadableBinding } from '../../shared/kubedb/records/binding-record.ts'
import {
  draftInstanceRecord,
  parseInstanceRecord,
  UnreadableRecord,
  userFacing,
} from '../../shared/kubedb/records/instance-record.ts'
import { annotations, bindingRecordName, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { objectIn } from '../support/cluster.ts'

const golden = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'golden', name), 'utf8'))

const Instance = v.object({ info: JsonObject, operations: v.record(v.string(), JsonObject) })
const instance = v.parse(Instance, golden('instance-record.v1.json'))
const binding = v.parse(JsonObject, golden('binding-record.v1.json'))
const id = String(instance.info.instanceId)

const spec = {
  type: 'osb.kubedb.com/instance',
  appRef: { apiGroup: 'kubedb.com', kind: 'Postgres', namespace: 'databases', name: `osb-${id}` },
  clientConfig: {},
}

/** An AppBinding as the API server gives it back. */
function stored(name: string, texts: { [annotation: string]: string }, more: object = {}): AppBinding {
  return v.parse(AppBinding, {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      name,
      namespace: 'broker',
      uid: 'u',
      resourceVersion: '7',
      annotations: texts,
      managedFields: [],
    },
    spec,
    ...more,
  })
}

const instanceObject = (info: unknown, operation: unknown, more: object = {}) =>
  stored(
    instanceRecordName(id),
    {
      [annotations.instance]: JSON.stringify(info),
      [annotations.operation]: JSON.stringify(operation),
    },
    more,
  )

for (const [type, operation] of Object.entries(instance.operations)) {
  test(`an instance record of version 1 with its ${type} is read, and nothing of it is lost when it is written back`, (t) => {
    const record = parseInstanceRecord(instanceObject(instance.info, operation), id)
    t.like(record.info, instance.info)
    t.like(record.operation, operation)
    t.deepEqual(record.database, { kind: 'Postgres', namespace: 'databases', name: `osb-${id}` })
    t.is(record.resourceVersion, '7')
    const draft = draftInstanceRecord('broker', record.info, record.operation, record.database)
    const kept = (annotation: string) => objectIn(String(draft.metadata.annotations?.[annotation]))
    t.like(kept(annotations.instance), instance.info)
    t.like(kept(annotations.operation), operation)
    t.deepEqual(draft.spec, spec)
    t.is(draft.metadata.name, instanceRecordName(id))
  })
}

test('what a newer function has added to a record does not disturb an older one', (t) => {
  const operation = { ...instance.operations.update, added: { by: 'a newer version' } }
  const record = parseInstanceRecord(instanceObject({ ...instance.info, added: [1] }, operation), id)
  t.is(record.info.planId, String(instance.info.planId))
  t.is(record.operation.type, 'update')
})

test('a record that is damaged is unreadable, and its error quotes nothing of it', (t) => {
  const { provision } = instance.operations
  const broken: [string, AppBinding][] = [
    ['no annotations', stored(instanceRecordName(id), {})],
    ['no JSON', stored(instanceRecordName(id), { [annotations.instance]: '{"secret' })],
    ['a field is missing', instanceObject({ ...instance.info, serviceId: undefined }, provision)],
    ['a field is of another type', instanceObject({ ...instance.info, planId: 7 }, provision)],
    ['another version', instanceObject({ ...instance.info, v: 2 }, provision)],
    ['no operation', instanceObject(instance.info, {})],
    ['an unknown operation', instanceObject(instance.info, { ...provision, type: 'explode' })],
    ['another instance', instanceObject({ ...instance.info, instanceId: 'other' }, provision)],
    ['no database', instanceObject(instance.info, provision, { spec: { clientConfig: {} } })],
  ]
  for (const [what, object] of broken) {
    const error = t.throws(() => parseInstanceRecord(object, id), { instanceOf: UnreadableRecord }, what)
    t.is(error?.object, object)
    t.notRegex(String(error?.message), /secret/)
  }
})

const bindingName = bindingRecordName('an-id', 'a-binding')
const bindingObject = (info: unknown, name = bindingName) =>
  stored(name, { [annotations.binding]: JSON.stringify(info) })

test('a binding record of version 1 is read', (t) => {
  const record = parseBindingRecord(bindingObject(binding))
  t.like(record.info, binding)
  t.like(record, { name: bindingName, uid: 'u', resourceVersion: '7' })
  t.is(parseBindingRecord(bindingObject({ ...binding, added: 1 })).info.state, 'ready')
})

test('nothing in a binding record reaches a statement unchecked', (t) => {
  for (const damage of [
    { user: 'postgres' },
    { user: `b${'a'.repeat(25)}'` },
    { user: `${String(binding.user)}\n` },
    { nonce: 'short' },
    { nonce: `${String(binding.nonce)}=` },
    { role: 'superuser' },
    { scheme: 2 },
    { keyId: '' },
    { state: 'odd' },
    { v: 2 },
    { bindingId: 'other' },
    { instanceId: 'other' },
  ]) {
    t.throws(
      () => parseBindingRecord(bindingObject({ ...binding, ...damage })),
      { instanceOf: UnreadableBinding },
      JSON.stringify(damage),
    )
  }
  t.throws(() => parseBindingRecord(stored(bindingName, {})), { instanceOf: UnreadableBinding })
  t.throws(() => parseBindingRecord(bindingObject(binding, 'osb-b-other')), { instanceOf: UnreadableBinding })
})

test('no password is in a record', (t) => {
  t.notRegex(JSON.stringify([instance, binding]), /password/i)
})

test('what a user reads is one line of bearable length', (t) => {
  t.is(userFacing(' a\n\tb\u0000c '), 'a b c')
  t.is(userFacing('x'.repeat(5000)).length, 1000)
})
