import test from 'ava'
import { createReady, findPostgres, opsManifest, postgresManifest } from './operator-postgres.ts'
import { createNamespace, Named, refusalOf, resources, useSetting } from './operator-setting.ts'

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

const refusedDatabases: [title: string, spec: object, kind: 'mutators' | 'validators', words: string][] = [
  [
    'halted with DoNotTerminate',
    { halted: true, deletionPolicy: 'DoNotTerminate' },
    'mutators',
    "Can't halt, since termination policy is 'DoNotTerminate'",
  ],
  [
    'Durable without storage',
    { storage: undefined },
    'validators',
    'spec.storage is missing for durable storage type',
  ],
  [
    'Durable without a size',
    { storage: { accessModes: ['ReadWriteOnce'] } },
    'validators',
    'missing ResourceStorage request',
  ],
  [
    'Durable of size 0',
    { storage: { resources: { requests: { storage: '0' } } } },
    'validators',
    'invalid ResourceStorage request',
  ],
  [
    'an unknown StorageClass',
    { storage: { storageClassName: 'gold', resources: { requests: { storage: '1Gi' } } } },
    'validators',
    'spec.storage.storageClassName "gold" not found',
  ],
  [
    'Ephemeral with Halt',
    { storageType: 'Ephemeral', storage: undefined, deletionPolicy: 'Halt' },
    'validators',
    "'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage",
  ],
  [
    'no replicas',
    { replicas: 0 },
    'validators',
    'spec.replicas "0" invalid. Value must be greater than zero',
  ],
  [
    'another settings file',
    { configuration: { inline: { 'postgresql.conf': '' } } },
    'validators',
    'invalid configuration source found in spec.configuration.applyConfig. only "user.conf" is allowed',
  ],
  [
    'sslMode without tls',
    { sslMode: 'require' },
    'validators',
    "can't have require set to postgres.Spec.SSLMode when postgres.Spec.TLS is null",
  ],
  [
    'an external Secret without a name',
    { authSecret: { name: '', externallyManaged: true } },
    'validators',
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  ],
  [
    'a health check without period',
    { healthChecker: { periodSeconds: 0 } },
    'validators',
    'spec.healthCheck.periodSeconds: can not be less than 1',
  ],
  [
    'a hasty election',
    {
      leaderElection: { electionTick: 1, heartbeatTick: 1, maximumLagBeforeFailover: 1, period: '1s' },
    },
    'validators',
    'ElectionTick must be greater than HeartbeatTick',
  ],
]

for (const [title, spec, kind, words] of refusedDatabases)
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

const refusedOps: [title: string, type: string, spec: object, field: string, words: string][] = [
  [
    'a version that does not exist',
    'UpdateVersion',
    { updateVersion: { targetVersion: '99.0' } },
    'spec.updateVersion',
    'upgrade from version 17.5 to 99.0 is not supported',
  ],
  [
    'a downgrade',
    'UpdateVersion',
    { updateVersion: { targetVersion: '16.13' } },
    'spec.updateVersion',
    'upgrade from version 17.5 to 16.13 is not supported',
  ],
  [
    'a smaller disk',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', postgres: '512Mi' } },
    'spec.volumeExpansion',
    'desired Postgres storage size must be greater than current storage. Current storage: 1Gi',
  ],
  [
    'no replicas',
    'HorizontalScaling',
    { horizontalScaling: { replicas: 0 } },
    'spec.horizontalScaling',
    "`spec.horizontalScaling.Replicas` can't be less than or equal 0",
  ],
  [
    'a block that is missing',
    'VerticalScaling',
    {},
    'spec.verticalScaling',
    '`spec.verticalScaling` nil not supported in VerticalScaling type',
  ],
  [
    'nothing to reconfigure',
    'Reconfigure',
    { configuration: { applyConfig: { 'other.conf': '' } } },
    'spec.configuration',
    'at least one of `RemoveCustomConfig`, `ConfigSecret`, `Tuning` or `ApplyConfig` must be specified',
  ],
  [
    'a Secret that does not exist',
    'RotateAuth',
    { authentication: { secretRef: { name: 'nowhere' } } },
    'spec.authentication',
    'referenced secret webhooks/nowhere not found',
  ],
]

for (const [title, type, spec, field, words] of refusedOps)
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
