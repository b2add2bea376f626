import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import {
  authOf,
  createReady,
  findPostgres,
  opsManifest,
  postgresManifest,
  sql,
  untilOpsPhase,
  untilPhase,
} from './operator-postgres.ts'
import {
  addressOf,
  createNamespace,
  offshootNames,
  Postgres,
  resources,
  setSwitches,
  until,
  useSetting,
} from './operator-setting.ts'

const setting = useSetting(test)

test.serial('a restarted operator takes everything up where it was', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'taken-up')
  await Promise.all([
    createReady(kube, namespace, 'stays'),
    createReady(kube, namespace, 'goes'),
    createReady(kube, namespace, 'halts'),
    createReady(kube, namespace, 'changes'),
  ])
  await sql(setting, namespace, 'stays', 'CREATE TABLE kept AS SELECT 42 AS answer')
  const address = await addressOf(setting, namespace, 'stays')
  const { password } = await authOf(kube, namespace, 'stays')
  await setSwitches(kube, namespace, { 'stall-ops': 'Restart' })
  await kube.create(resources.postgresOpsRequests, opsManifest(namespace, 'stalled', 'changes', 'Restart'))
  await untilOpsPhase(kube, namespace, 'stalled', 'Progressing')

  await setting.stopOperator()
  await t.throwsAsync(sql(setting, namespace, 'stays', 'SELECT 1'), { message: /ECONNREFUSED/ })
  await setSwitches(kube, namespace, {})
  await kube.create(resources.postgreses, postgresManifest(namespace, 'comes'))
  await kube.delete(resources.postgreses, { namespace, name: 'goes' })
  await kube.patch(
    Postgres,
    resources.postgreses,
    { namespace, name: 'halts' },
    { spec: { halted: true, deletionPolicy: 'Halt' } },
  )
  t.truthy(await findPostgres(kube, namespace, 'goes'))

  await setting.startOperator()
  await untilPhase(kube, namespace, 'comes', 'Ready')
  await untilPhase(kube, namespace, 'halts', 'Halted')
  await untilOpsPhase(kube, namespace, 'stalled', 'Successful')
  await until(
    'the deleted database gone',
    async () => (await findPostgres(kube, namespace, 'goes')) === undefined,
  )
  await until('its disk gone', async () => {
    return (await offshootNames(kube, resources.claims, namespace, 'goes')).length === 0
  })
  const rows = await until('the server back', () =>
    sql(setting, namespace, 'stays', 'SELECT answer FROM kept', password).catch(() => undefined),
  )
  t.deepEqual(rows, [{ answer: 42 }])
  t.is(await addressOf(setting, namespace, 'stays'), address)
  await untilPhase(kube, namespace, 'stays', 'Ready')
})

test.serial('without its webhooks everything is accepted, and the operator copes with it', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'unchecked')
  await setting.stopOperator()
  await kube.create(resources.postgreses, postgresManifest(namespace, 'odd', { version: '99.0' }))
  await kube.create(resources.postgreses, postgresManifest(namespace, 'bare'))
  t.is((await findPostgres(kube, namespace, 'bare'))?.spec.podTemplate?.spec?.containers, undefined)
  await setting.startOperator()
  await untilPhase(kube, namespace, 'bare', 'Ready')
  // KubeDB's own webhook refuses the finalizer that its operator wants to add.
  const refused = () => setting.lines.filter((line) => line.startsWith('unchecked/odd: admission webhook'))
  await until('a line about it', async () => refused().length > 0)
  await sleep(1000)
  t.is(refused().length, 1)
  t.is((await findPostgres(kube, namespace, 'odd'))?.status.phase, '')
})

test.serial('the operator survives a restart of the API server', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'api-restart')
  await createReady(kube, namespace, 'before')
  await setting.restartControlPlane()
  await until('the API server back', () => findPostgres(kube, namespace, 'before').catch(() => undefined))
  t.deepEqual(await sql(setting, namespace, 'before', 'SELECT 1 AS one'), [{ one: 1 }])
  await createReady(kube, namespace, 'after')
  await kube.delete(resources.postgreses, { namespace, name: 'before' })
  await until(
    'the deleted database gone',
    async () => (await findPostgres(kube, namespace, 'before')) === undefined,
  )
})

test.serial('ten databases at once become Ready', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'ten')
  const begin = Date.now()
  await Promise.all(Array.from({ length: 10 }, (_, index) => createReady(kube, namespace, `pg-${index}`)))
  t.log(`all Ready after ${Date.now() - begin} ms`)
  t.pass()
})
