/** What the webhooks refuse of one kind alone; what they refuse of all is in operator-webhooks.test.ts. */
import test from 'ava'
import { Named, resources } from '../../sandbox/operator/cluster/resources.ts'
import { elasticsearch } from '../../sandbox/operator/kinds/elasticsearch.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { mysql } from '../../sandbox/operator/kinds/mysql.ts'
import { type Kind, opsKind, resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { rabbitmq } from '../../sandbox/operator/kinds/rabbitmq.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { createNamespace, refusalOf, useSetting } from './operator-setting.ts'
import { issuerRef, manifest, opsManifest, shapeOf, single } from './operator-shapes.ts'
import { container, nodes, refusedDatabases, refusedOps } from './refused-writes.ts'

const setting = useSetting(test, [])

/** A namespace for each test. */
let number = 0
const aNamespace = () => createNamespace(setting.kube, `kinds-${number++}`)

/** The refusal of a webhook; `who` is the first part of its name. */
const denied = (who: string, words: string, status = 403) => ({
  status,
  message: `admission webhook "${who}.kubedb.com" denied the request: ${words}`,
})

test('RabbitMQ is refused: certificates without TLS', async (t) => {
  const object = manifest(rabbitmq, 'default', { ...single(rabbitmq), tls: { issuerRef } }, 'refused')
  t.deepEqual(
    await refusalOf(setting.kube.create(resourcesOf(rabbitmq).databases, object)),
    denied(
      'rabbitmqwebhook.validators',
      'RabbitMQ.rabbitmq.kubedb.com "refused" is invalid: spec.enableSSL: Invalid value: "refused": .spec.tls must be nil, if .spec.enableSSL is disabled',
      422,
    ),
  )
})

for (const [kind, title, spec, words] of refusedDatabases)
  test(`${kind.kind} is refused: ${title}`, async (t) => {
    const object = manifest(kind, 'default', { ...single(kind), ...spec }, 'refused')
    const { status, message } = await refusalOf(setting.kube.create(resourcesOf(kind).databases, object))
    t.is(status, 403)
    const who = `${kind.kind.toLowerCase()}webhook.validators`
    if (words.startsWith('^')) {
      const [, said = ''] = message.split('denied the request: ')
      t.regex(said, new RegExp(words))
    } else t.is(message, denied(who, words).message)
  })

const fallen = 'panic: runtime error: invalid memory address or nil pointer dereference [recovered]'

test('an Elasticsearch whose coordinating nodes name no container is more than the webhook can take', async (t) => {
  const { databases } = resourcesOf(elasticsearch)
  const make = (coordinating: object) => {
    const spec = { ...single(elasticsearch), ...nodes({ coordinating: { replicas: 1, ...coordinating } }) }
    return setting.kube.create(databases, manifest(elasticsearch, 'default', spec, 'fallen'))
  }
  t.deepEqual(await refusalOf(make({})), denied('elasticsearchwebhook.validators', fallen, 500))
  await make(container('elasticsearch', {}))
  await setting.kube.delete(databases, { namespace: 'default', name: 'fallen' })
})

test('disks that name no class cannot be moved to another: some webhooks say so, some fall over it', async (t) => {
  const { kube } = setting
  const name = 'refusals-fast'
  await kube.create(resources.storageClasses, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: 'sandbox',
  })
  const migration = { storageClassName: name }
  for (const [title, block] of [
    ['a single MySQL', migration],
    ['a single Kafka', { node: migration }],
  ] as const) {
    const { kind } = shapeOf(title)
    const object = opsManifest(kind, await existing(title), 'fallen', 'StorageMigration', {
      timeout: '1h',
      migration: block,
    })
    t.deepEqual(
      await refusalOf(kube.create(resourcesOf(kind).opsRequests, object)),
      denied(`${kind.kind.toLowerCase()}opsrequestwebhook.validators.ops`, fallen, 500),
    )
  }
  await kube.delete(resources.storageClasses, { name })
})

/** The namespace of a database that is there, of a shape, whatever has become of it. */
const existing = (title: string) => {
  const known = existingOnes.get(title)
  if (known) return known
  const { kind, spec } = shapeOf(title)
  const made = aNamespace().then(async (namespace) => {
    await setting.kube.create(resourcesOf(kind).databases, manifest(kind, namespace, spec))
    return namespace
  })
  existingOnes.set(title, made)
  return made
}
const existingOnes = new Map<string, Promise<string>>()

for (const [title, type, spec, field, words] of refusedOps)
  test(`${type} of ${title} is refused: ${words.slice(0, 60)}`, async (t) => {
    const { kind } = shapeOf(title)
    const namespace = await existing(title)
    const object = opsManifest(kind, namespace, 'refused', type, spec)
    const refusal = await refusalOf(setting.kube.create(resourcesOf(kind).opsRequests, object))
    t.is(refusal.status, 422)
    const cause = `spec.${field}: Invalid value: "refused": ${words.replace('NAMESPACE', namespace)}`
    const name = `${opsKind(kind)}.${kind.ops.group} "refused"`
    t.deepEqual(
      refusal,
      denied(
        `${kind.kind.toLowerCase()}opsrequestwebhook.validators.ops`,
        `${name} is invalid: ${cause}`,
        422,
      ),
    )
  })

test('DoNotTerminate refuses DELETE in the words of each kind', async (t) => {
  const { kube } = setting
  const words = new Map<Kind, string>([
    [postgres, 'postgres "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [mysql, 'mysql "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [mongodb, 'mongodb "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [redis, 'redis "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [memcached, "memcached default/kept can't be terminated. To delete, change spec.deletionPolicy"],
    [
      elasticsearch,
      'ElasticSearch "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy',
    ],
    [
      rabbitmq,
      'RabbitMQ.rabbitmq.kubedb.com "kept" is invalid: spec.deletionPolicy: Invalid value: "kept": Can not delete as terminationPolicy is set to "DoNotTerminate"',
    ],
  ])
  for (const [kind, refusal] of words) {
    const { databases } = resourcesOf(kind)
    const place = { namespace: 'default', name: 'kept' }
    await kube.create(
      databases,
      manifest(kind, 'default', { ...single(kind), deletionPolicy: 'DoNotTerminate' }, 'kept'),
    )
    t.deepEqual(
      await refusalOf(kube.delete(databases, place)),
      denied(
        `${kind.kind.toLowerCase()}webhook.validators`,
        refusal,
        refusal.includes('is invalid') ? 422 : 403,
      ),
    )
  }
})

test("a change of what is fixed is refused: a replica set's name, a Memcached becoming several", async (t) => {
  const { kube } = setting
  const namespace = await aNamespace()
  const { databases } = resourcesOf(mongodb)
  await kube.create(
    databases,
    manifest(mongodb, namespace, shapeOf('a MongoDB replica set with an arbiter').spec),
  )
  const renamed = await refusalOf(
    kube.patch(Named, databases, { namespace, name: 'db' }, { spec: { replicaSet: { name: 'other' } } }),
  )
  t.regex(renamed.message, /precondition failed for: map\[spec:map\[replicaSet:map\[name:other\]\]\]\./)
  const one = resourcesOf(memcached).databases
  await kube.create(one, manifest(memcached, namespace, { version: '1.6.40' }))
  const scaled = await refusalOf(kube.patch(Named, one, { namespace, name: 'db' }, { spec: { replicas: 3 } }))
  t.deepEqual(scaled, denied('memcachedwebhook.validators', 'can not update from 1 replica to 3 replica'))
})
