/** Which binds are the same request, and which take the id of another's binding. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { type BindingAttributes, bindingUse, sameBinding } from '../../shared/kubedb/bindings/same-binding.ts'
import { BindingInfo } from '../../shared/kubedb/records/binding-record.ts'
import type { JsonObject } from '../../shared/values/json.ts'

const old = v.parse(
  BindingInfo,
  JSON.parse(readFileSync(join(import.meta.dirname, 'golden/binding-record.v1.json'), 'utf8')),
)

/** A bind as it is sent. */
interface Sent {
  app_guid?: string
  bind_resource?: JsonObject
}

const asked = ({ app_guid: appGuid = '', bind_resource: resource = {} }: Sent): BindingAttributes => ({
  serviceId: old.serviceId,
  planId: old.planId,
  appGuid,
  use: bindingUse(appGuid, resource),
  parameters: old.parameters,
  predecessor: undefined,
})
/** The record of a binding that was asked for so. */
const madeBy = (sent: Sent): BindingInfo => ({ ...old, ...asked(sent) })

const all = {
  app_guid: 'an-app',
  bind_resource: { app_guid: 'an-app', route: 'a.example.com', app: { guid: 'x' }, backup: true },
}
const same: [title: string, one: Sent, other: Sent][] = [
  ['nothing, and an empty bind_resource', {}, { bind_resource: {} }],
  ['null for a member, and none', {}, { bind_resource: { route: null, backup: null } }],
  ['the app in either place', { app_guid: 'an-app' }, { bind_resource: { app_guid: 'an-app' } }],
  ['the app in both places', { app_guid: 'an-app' }, { ...all, bind_resource: { app_guid: 'an-app' } }],
  [
    'everything, in another order',
    all,
    { bind_resource: { backup: true, app: { guid: 'x' }, route: 'a.example.com', app_guid: 'an-app' } },
  ],
]
for (const [title, one, other] of same) {
  test(`the same bind: ${title}`, (t) => {
    t.true(sameBinding(madeBy(one), asked(other)))
    t.true(sameBinding(madeBy(other), asked(one)))
  })
}

const others: [title: string, other: Sent][] = [
  ['another app', { ...all, app_guid: '', bind_resource: { ...all.bind_resource, app_guid: 'another' } }],
  ['another route', { ...all, bind_resource: { ...all.bind_resource, route: 'b.example.com' } }],
  ['no route', { ...all, bind_resource: { ...all.bind_resource, route: null } }],
  ['something else of the app', { ...all, bind_resource: { ...all.bind_resource, app: { guid: 'y' } } }],
  ['a member more', { ...all, bind_resource: { ...all.bind_resource, space_guid: 's' } }],
  ['no bind_resource', { app_guid: 'an-app' }],
  ['neither', {}],
]
for (const [title, other] of others) {
  test(`another bind: ${title}`, (t) => {
    t.false(sameBinding(madeBy(all), asked(other)))
    t.false(sameBinding(madeBy(other), asked(all)))
  })
}

test('a record of before knows app_guid alone, and is compared by that', (t) => {
  t.is(old.use, undefined)
  t.true(sameBinding(old, asked({ app_guid: 'an-app' })))
  t.true(sameBinding(old, asked({ app_guid: 'an-app', bind_resource: { route: 'a.example.com' } })))
  t.false(sameBinding(old, asked({ app_guid: 'another' })))
  t.false(sameBinding(old, asked({})))
})

test('service, plan, parameters and predecessor count as well', (t) => {
  const info = madeBy(all)
  for (const other of [
    { serviceId: 'x' },
    { planId: 'x' },
    { parameters: {} },
    { predecessor: 'x' },
  ] satisfies Partial<BindingAttributes>[]) {
    t.false(sameBinding(info, { ...asked(all), ...other }), Object.keys(other)[0])
  }
})

test('a successor is the same as its predecessor, whatever the age of that record', (t) => {
  for (const info of [old, madeBy(all)]) {
    const { serviceId, planId, appGuid, use, parameters } = info
    const request = { serviceId, planId, appGuid, use, parameters, predecessor: 'before' }
    t.true(sameBinding({ ...info, ...request }, request))
  }
})
