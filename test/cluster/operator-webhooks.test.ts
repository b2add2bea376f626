import test from 'ava'
import { createReady, findPostgres, opsManifest, postgresManifest } from './operator-postgres.ts'
import { createNamespace, Named, refusalOf, resources, useSetting } from './operator-setting.ts'
import { refusedPostgreses, refusedPostgresOps } from './refused-writes.ts'

const setting = useSetting(test)
const namespace = 'webhooks'

test.serial.before('a database', async () => {
  await createNamespace(setting.kube, namespace)
  await createReady(setting.kube, namespace, 'pg', { version: '17.5' })
})

const denied = (kind: 'mutators' | 'validators', words: string) => ({
  status: 403,
  message: `admission webhook "postgreswebhook.${kind}.kubedb.com" denied the request: ${words}`,
})

const container = (more: object) => ({
  podTemplate: { spec: { containers: [{ name: 'postgres', ...more }] } },
})

for (const [title, spec, kind, words] of refusedPostgreses)
  test(`a database is refused: ${title}`, async (t) => {
    const manifest = postgresManifest(namespace, 'refused', spec)
    t.deepEqual(await refusalOf(setting.kube.create(resources.postgreses, manifest)), denied(kind, words))
  })

test('a database of an unknown version is refused by the 404 that the webhook met itself', async (t) => {
  const manifest = postgresManifest(namespace, 'refused', { version: '99.0' })
  t.deepEqual(await refusalOf(setting.kube.create(resources.postgreses, manifest)), {
    ...denied('mutators', 'PostgresVersion.catalog.kubedb.com "99.0" not found'),
    status: 404,
  })
})

test('a database is refused: the superuser named in the environment', async (t) => {
  const { kube } = setting
  const env = [{ name: 'POSTGRES_USER', value: 'me' }]
  const manifest = postgresManifest(namespace, 'refused', container({ env }))
  const refusal = await refusalOf(kube.create(resources.postgreses, manifest))
  t.deepEqual(
    refusal,
    denied('validators', 'environment variable POSTGRES_USER is forbidden to use in Postgres spec'),
  )
})

test('the storage type cannot be changed', async (t) => {
  const change = { spec: { storageType: 'Ephemeral' } }
  const place = { namespace, name: 'pg' }
  const { status, message } = await refusalOf(setting.kube.patch(Named, resources.postgreses, place, change))
  t.is(status, 403)
  t.true(
    message.endsWith(
      'At least one of the following was changed:\n\tapiVersion\n\tkind\n\tname\n\tnamespace\n\tspec.storageType',
    ),
  )
})

test('a stored database has the defaults of KubeDB', async (t) => {
  const { kube } = setting
  await kube.create(resources.postgreses, {
    ...postgresManifest(namespace, 'defaults', {
      deletionPolicy: undefined,
      storageType: undefined,
      replicas: 2,
    }),
  })
  const db = await findPostgres(kube, namespace, 'defaults')
  t.like(db?.spec, {
    deletionPolicy: 'Delete',
    storageType: 'Durable',
    standbyMode: 'Hot',
    sslMode: 'disable',
    clientAuthMode: 'md5',
    healthChecker: { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 1 },
    leaderElection: { electionTick: 10, heartbeatTick: 1, period: '300ms' },
    arbiter: { resources: { requests: { cpu: '200m', memory: '256Mi', storage: '2Gi' } } },
  })
  t.is(db?.spec.podTemplate?.spec?.serviceAccountName, 'defaults')
  t.deepEqual(
    db?.spec.podTemplate?.spec?.containers?.map(({ name, resources: { requests, limits } = {} }) => ({
      name,
      requests,
      limits,
    })),
    [
      { name: 'postgres', requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } },
      { name: 'pg-coordinator', requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '256Mi' } },
    ],
  )
})

test('halting sets the deletion policy to Halt, at every write', async (t) => {
  const { kube } = setting
  await createReady(kube, namespace, 'halting')
  const place = { namespace, name: 'halting' }
  await kube.patch(Named, resources.postgreses, place, { spec: { halted: true } })
  await kube.patch(Named, resources.postgreses, place, { spec: { deletionPolicy: 'WipeOut' } })
  t.is((await findPostgres(kube, namespace, 'halting'))?.spec.deletionPolicy, 'Halt')
})

for (const [title, type, spec, field, words] of refusedPostgresOps)
  test(`an OpsRequest is refused with a cause: ${title}`, async (t) => {
    const manifest = opsManifest(namespace, 'refused', 'pg', type, spec)
    const refusal = await refusalOf(setting.kube.create(resources.postgresOpsRequests, manifest))
    t.deepEqual(refusal, {
      status: 422,
      message: `admission webhook "postgresopsrequestwebhook.validators.ops.kubedb.com" denied the request: PostgresOpsRequest.Postgresopsrequests.kubedb.com "refused" is invalid: ${field}: Invalid value: "refused": ${words}`,
    })
  })

test('an OpsRequest for no database is refused', async (t) => {
  const manifest = opsManifest(namespace, 'refused', 'absent', 'Restart')
  const refusal = await refusalOf(setting.kube.create(resources.postgresOpsRequests, manifest))
  t.deepEqual(refusal, {
    status: 403,
    message:
      'admission webhook "postgresopsrequestwebhook.validators.ops.kubedb.com" denied the request: spec.databaseRef: Invalid value: "refused": spec.databaseRef webhooks/absent, is invalid or not found',
  })
})

test('the spec of an OpsRequest cannot be changed', async (t) => {
  const { kube } = setting
  await kube.create(resources.postgresOpsRequests, opsManifest(namespace, 'fixed', 'pg', 'Restart'))
  const place = { namespace, name: 'fixed' }
  const change = { spec: { timeout: '1m' } }
  const refusal = await refusalOf(kube.patch(Named, resources.postgresOpsRequests, place, change))
  t.is(refusal.status, 403)
  t.regex(refusal.message, /precondition failed for: .*\n\tnamespace\n\tspec$/s)
})

test('a dry run is judged like a real request', async (t) => {
  const manifest = postgresManifest(namespace, 'refused', { version: '99.0' })
  const { status } = await refusalOf(setting.kube.tryCreate(resources.postgreses, manifest))
  t.is(status, 404)
})
