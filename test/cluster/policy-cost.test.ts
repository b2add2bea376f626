/**
 * How much an API server has to work for the admission policies: it gives each of them 10,000,000 units for a write, and
 * 1,000,000 for an expression. Copies of the policies use up 95 % of that first; what is left, the policies need not.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import * as v from 'valibot'
import { writtenKinds } from '../../generate/admission/written-kinds.ts'
import { functionsPolicies, kindPolicies } from '../../generate/admission-policy.ts'
import type { Specified } from '../../generate/gateways.ts'
import { parametersOf, targetOrRefusal, withClusterOffers } from '../../generate/plan-walk.ts'
import { apply } from '../../sandbox/control-plane/administrator.ts'
import { kindOf } from '../../shared/kubedb/databases/kinds.ts'
import { databaseOf } from '../../shared/kubedb/records/instance-record.ts'
import { hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { at, type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { allPlans } from '../support/shipped-catalog.ts'
import { makeFastClass } from '../support/storage-class.ts'

const cluster = useCluster(test)
const { broker } = cluster.namespaces
const whole = 10_000_000
const each = 500_000

/** An expression that is true and costs {@link each}: a tenth of the text's length times a quarter of the pattern's. */
const burning = `!("${'a'.repeat(4_990)}" + request.operation).matches("${'b'.repeat(4_000)}")`

/** @returns the policies for writes of some accounts, under other names, after so much was used up */
function after(
  units: number,
  policies: readonly Specified[],
  suffix: string,
  accounts: readonly string[],
): Specified[] {
  const names = accounts.map((account) => `system:serviceaccount:${broker}:${account}`)
  const writers = `request.userInfo.username in ${JSON.stringify(names)}`
  return policies.map((one) => {
    const name = `${one.metadata.name}${suffix}`
    if (one.kind === 'ValidatingAdmissionPolicyBinding')
      return { ...one, metadata: { ...one.metadata, name }, spec: { ...one.spec, policyName: name } }
    const { validations } = v.parse(v.object({ validations: v.array(v.looseObject({})) }), one.spec)
    const burned = Array.from({ length: units / each }, () => ({ expression: burning, message: 'burning' }))
    return {
      ...one,
      metadata: { ...one.metadata, name },
      spec: {
        ...one.spec,
        matchConditions: [{ name: 'one-account', expression: writers }],
        validations: [...burned, ...validations],
      },
    }
  })
}

const lists = writtenKinds()
const all = [...functionsPolicies({ broker }, lists, ''), ...kindPolicies('true', lists, '')]
let provision: TestCluster['admin']
let update: TestCluster['admin']
let bind: TestCluster['admin']
const names: string[] = []

test.before('costly copies of the policies', async () => {
  await cluster.ready()
  await makeFastClass(cluster)
  provision = await cluster.as('osb-provision')
  update = await cluster.as('osb-update')
  bind = await cluster.as('osb-bind')
  const made = [
    ...after(0.95 * whole, all, `.most-${broker}`, ['osb-provision', 'osb-update', 'osb-bind']),
    // No other policy is about this one.
    ...after(whole, all.slice(0, 2), `.whole-${broker}`, ['default']),
  ]
  names.push(...made.map(({ metadata }) => metadata.name))
  await apply(cluster.administrator, made)
})

test.after.always('take them away', async () => {
  for (const plural of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies'])
    for (const name of new Set(names))
      await cluster.admin('DELETE', `/apis/admissionregistration.k8s.io/v1/${plural}/${name}`)
})

test.serial('an API server stops a policy that has used up its units', async (t) => {
  const asked = await cluster.as('default')
  const path = `${cluster.databasesPath('secrets')}?dryRun=All`
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } }
  await cluster.admin('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: `costly-${broker}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: broker }],
  })
  let text = ''
  for (const end = Date.now() + 120_000; Date.now() < end && !text.includes('budget'); await delay(200))
    text = (await asked('POST', path, secret)).text
  await cluster.admin('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/costly-${broker}`)
  t.regex(text, /budget/)
})

for (const { kind: name, plural, apiVersion } of lists) {
  test(`what is written of a ${name} takes less than a twentieth of that`, async (t) => {
    t.timeout(300_000)
    const collection = cluster.databasesPath(plural)
    const offers = allPlans().filter(({ kind }) => kind.kind === name)
    const drafts = offers.map(withClusterOffers).flatMap((offer) => {
      const all = parametersOf(offer)
      // The last two ask for everything at once.
      return [{}, ...all.slice(-2)].flatMap((sent): JsonObject[] => {
        const target = targetOrRefusal(offer, sent, 'external') ?? targetOrRefusal(offer, sent, 'cluster')
        return target ? [target.resolved.spec] : []
      })
    })
    const object = (spec: JsonObject): JsonObject => {
      const id = randomUUID()
      return {
        apiVersion,
        kind: name,
        metadata: {
          name: databaseOf(kindOf(name), cluster.namespaces.databases, id).name,
          labels: { [instanceLabel]: hash26(id) },
        },
        spec,
      }
    }
    for (const spec of drafts) {
      const answer = await provision('POST', `${collection}?dryRun=All`, object(spec))
      t.is(answer.status, 201, answer.text)
    }
    const made = await cluster.admin('POST', collection, object(drafts[0] ?? {}))
    t.is(made.status, 201, made.text)
    const one = `${collection}/${textAt(made.body, 'metadata', 'name')}?dryRun=All`
    const changed = await update('PATCH', one, { spec: { deletionPolicy: 'Delete' } })
    t.is(changed.status, 200, changed.text)
  })
}

test('so do 300 users of a Redis in one request, and a change of the Redis that has them', async (t) => {
  t.timeout(300_000)
  const kind = kindOf('Redis')
  const { accounts, apiVersion, plural, opsKind, opsPlural } = kind
  if (accounts.by !== 'declaration') throw new Error('users of a Redis are made by requests')
  const id = randomUUID()
  const { name } = databaseOf(kind, cluster.namespaces.databases, id)
  const labels = { [instanceLabel]: hash26(id) }
  const users = Array.from({ length: 300 }, (_, index) => `b${hash26(String(index))}`)
  const make = users.map((user) => ({ name: user, role: 'owner' as const }))
  const { type, body } = accounts.request(
    { version: '8.2.2' },
    { secret: `${name}-users-01234567`, make, remove: users },
  )
  const rules = v.parse(v.array(v.string()), at(body, 'configuration', 'auth', 'syncACL'))
  t.is(rules.length, 300)
  const spec = {
    version: '8.2.2',
    mode: 'Standalone',
    storageType: 'Ephemeral',
    configuration: { acl: { rules } },
  }
  const metadata = { name, labels }
  const made = await cluster.admin('POST', cluster.databasesPath(plural), {
    apiVersion,
    kind: 'Redis',
    metadata,
    spec,
  })
  t.is(made.status, 201, made.text)
  const asked = await bind('POST', `${cluster.databasesPath(opsPlural)}?dryRun=All`, {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: opsKind,
    metadata: {
      name: `${name}-users-1`,
      labels,
      ownerReferences: [{ apiVersion, kind: 'Redis', name, uid: textAt(made.body, 'metadata', 'uid') }],
    },
    spec: { type, apply: 'IfReady', timeout: '10m', databaseRef: { name }, ...body },
  })
  t.is(asked.status, 201, asked.text)
  const changed = await update('PATCH', `${cluster.databasesPath(plural)}/${name}?dryRun=All`, {
    spec: { deletionPolicy: 'Delete' },
  })
  t.is(changed.status, 200, changed.text)
})
