/** Every kind that the operator serves, without a server: what there is of a database before anybody connects. */
import test from 'ava'
import * as v from 'valibot'
import { Named, OpsRequest, resources, Secret, Service } from '../../sandbox/operator/cluster/resources.ts'
import { kinds } from '../../sandbox/operator/kinds/kinds.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { aclLines } from '../../sandbox/operator/kinds/redis-acl.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { createNamespace, offshootNames, until, useSetting } from './operator-setting.ts'
import { create, find, inTurn, opsManifest, shapes, single } from './operator-shapes.ts'

const setting = useSetting(test, [])

/** A namespace for each test. */
let number = 0
const aNamespace = () => createNamespace(setting.kube, `kinds-${number++}`)

const Spec = v.looseObject({ metadata: v.looseObject({}), spec: JsonObject })

/** Puts the namespace of a test into what is expected. */
function inNamespace(expected: object, namespace: string): object {
  return v.parse(JsonObject, JSON.parse(JSON.stringify(expected).replaceAll('NAMESPACE', namespace)))
}

for (const shape of shapes)
  test(`${shape.title} has the objects of KubeDB`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const { kind } = shape
      const namespace = await aNamespace()
      const db = await create(setting, kind, namespace, shape.spec)
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      t.deepEqual(await names(resources.pods), shape.pods)
      t.deepEqual(await names(resources.claims), shape.claims)
      t.deepEqual(
        (await names(resources.secrets)).filter((name) => name !== 'db-auth'),
        shape.secrets ?? [],
      )
      const { items } = await kube.list(Service, resources.services, { namespace })
      t.deepEqual(
        Object.fromEntries(
          items.map(({ metadata, spec }) => [metadata.name, spec.ports.map(({ port }) => port)]),
        ),
        shape.services,
      )

      const auth = await kube.get(Secret, resources.secrets, { namespace, name: 'db-auth' })
      const { username, password } = kind.auth.read(auth?.data ?? {})
      t.is(username, shape.user)
      t.regex(password, /^[A-Za-z0-9]{16}$/)
      t.is(db.spec.authSecret?.name, 'db-auth')

      const appBinding = await kube.get(Spec, resources.appBindings, { namespace, name: 'db' })
      t.deepEqual(appBinding?.spec.clientConfig, inNamespace(shape.client, namespace))
      t.like(appBinding?.spec, {
        type: `kubedb.com/${kind.kind.toLowerCase()}`,
        appRef: { apiGroup: 'kubedb.com', kind: kind.kind, name: 'db', namespace },
        secret: { name: 'db-auth', kind: 'Secret' },
        ...(shape.parameters && { parameters: inNamespace(shape.parameters, namespace) }),
      })

      t.is(db.status.phase, 'Provisioning')
      const ready = db.status.conditions.find(({ type }) => type === 'ReplicaReady')
      t.is(ready?.message, `Some Replicas are not ready. error: the sandbox has no ${kind.title} server`)
    }))

for (const kind of kinds)
  test(`a halted ${kind.kind} keeps Secrets and disks, comes back, and leaves nothing when it is wiped out`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const namespace = await aNamespace()
      const { databases } = resourcesOf(kind)
      const place = { namespace, name: 'db' }
      await create(setting, kind, namespace, single(kind))
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      const count = async (...list: (typeof resources.pods)[]) =>
        (await Promise.all(list.map(names))).flat().length
      const { pods, services, appBindings, secrets, claims } = resources
      const kept = [await names(secrets), await names(claims)]
      const had = (await find(setting, kind, namespace))?.spec.deletionPolicy
      await kube.patch(Named, databases, place, { spec: { halted: true } })
      await until('Halted', async () => (await find(setting, kind, namespace))?.status.phase === 'Halted')
      await until('nothing running', async () => (await count(pods, services, appBindings)) === 0)
      t.deepEqual([await names(secrets), await names(claims)], kept)
      // RabbitMQ's webhook alone does not look at it.
      const policy = kind.kind === 'RabbitMQ' ? had : 'Halt'
      t.is((await find(setting, kind, namespace))?.spec.deletionPolicy, policy)
      await kube.patch(Named, databases, place, { spec: { halted: false, deletionPolicy: 'WipeOut' } })
      await until('the AppBinding back', async () => (await count(appBindings)) === 1)
      await until(
        'not Halted',
        async () => (await find(setting, kind, namespace))?.status.phase === 'Provisioning',
      )
      await kube.delete(databases, place)
      await until('everything gone', async () => {
        const left = await count(pods, services, appBindings, secrets, claims, resources.serviceAccounts)
        return left === 0 && (await find(setting, kind, namespace)) === undefined
      })
      t.pass()
    }))

/** What is left of a database, by deletionPolicy: the Secrets that it decides about, and the disks. */
for (const [kind, policy, keptSecrets] of [
  [mongodb, 'Delete', ['db-auth', 'db-key']],
  [mongodb, 'Halt', ['db-auth', 'db-key']],
  // Memcached's Secret is its own alone: it goes with it.
  [memcached, 'Delete', []],
  [memcached, 'Halt', []],
] as const)
  test(`${policy} of ${kind.kind} leaves what KubeDB leaves`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const namespace = await aNamespace()
      const more = kind === mongodb ? { replicas: 1, replicaSet: { name: 'rs0' } } : {}
      await create(setting, kind, namespace, { ...single(kind), ...more, deletionPolicy: policy })
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      const disks = policy === 'Halt' ? await names(resources.claims) : []
      await kube.delete(resourcesOf(kind).databases, { namespace, name: 'db' })
      await until('all that goes gone', async () => {
        const { pods, services, appBindings, secrets, claims } = resources
        const running = (await Promise.all([pods, services, appBindings].map(names))).flat()
        const left = [(await names(secrets)).length, (await names(claims)).length]
        return running.length === 0 && left[0] === keptSecrets.length && left[1] === disks.length
      })
      t.deepEqual(await names(resources.secrets), [...keptSecrets])
      t.deepEqual(await names(resources.claims), disks)
    }))

/** How a rule names a key of its Secret. */
const keyed = (key: string) => `\${${key}}`

test('a Reconfigure of users changes the rules of a Redis and keeps their passwords', (t) =>
  inTurn(async () => {
    const { kube } = setting
    const namespace = await aNamespace()
    const { opsRequests } = resourcesOf(redis)
    const secret = (name: string, stringData: object) =>
      kube.create(resources.secrets, { metadata: { namespace, name }, stringData })
    await secret('first', { ann: 'one', bob: 'two' })
    await secret('second', { cleo: 'three' })
    const rules = [`ann ${keyed('ann')} ~* +get`, `bob ${keyed('bob')} ~* +get`]
    const db = await create(setting, redis, namespace, {
      ...single(redis),
      configuration: { acl: { secretRef: { name: 'first' }, rules } },
    })
    const auth = {
      secretRef: { name: 'second' },
      syncACL: [`cleo ${keyed('cleo')} ~* +@all`],
      deleteUsers: ['bob'],
    }
    await kube.create(
      opsRequests,
      opsManifest(redis, namespace, 'users', 'Reconfigure', { configuration: { auth } }),
    )
    await until('the end of the request', async () => {
      const ops = await kube.get(OpsRequest, opsRequests, { namespace, name: 'users' })
      return ops?.status.phase === 'Successful'
    })
    t.like((await find(setting, redis, namespace))?.spec.configuration, {
      acl: {
        secretRef: { name: 'second' },
        rules: [`ann ${keyed('ann')} ~* +get`, `cleo ${keyed('cleo')} ~* +@all`],
      },
    })
    // Rules of earlier requests take their passwords from what the operator keeps.
    const name = `db-acl-${db.metadata.uid.slice(-6)}`
    const kept = await kube.get(Secret, resources.secrets, { namespace, name })
    t.deepEqual(kept?.data, { ann: 'one', cleo: 'three' })
    const after = await find(setting, redis, namespace)
    t.deepEqual(after && (await aclLines(kube, after)), [
      'user ann on >one ~* +get',
      'user cleo on >three ~* +@all',
    ])
  }))
