/** Databases with TLS: certificates, who may connect how, and changes of both. */
import { X509Certificate } from 'node:crypto'
import test from 'ava'
import { Client } from 'pg'
import * as v from 'valibot'
import {
  authOf,
  createReady,
  findPostgres,
  postgresManifest,
  succeedOps,
  untilPhase,
} from './operator-postgres.ts'
import {
  addressOf,
  createNamespace,
  Named,
  resources,
  Secret,
  setSwitches,
  until,
  useSetting,
} from './operator-setting.ts'
import { issuerRef } from './operator-shapes.ts'

const setting = useSetting(test)

const AppBinding = v.looseObject({
  spec: v.looseObject({
    clientConfig: v.looseObject({
      caBundle: v.optional(v.string()),
      service: v.looseObject({ query: v.string() }),
    }),
  }),
})

/** Asks the server who it is, with or without TLS. `names` is checked against its certificate. */
async function ask(namespace: string, ssl: false | { ca: string }, name?: string): Promise<unknown> {
  const client = new Client({
    host: await addressOf(setting, namespace, 'pg'),
    user: 'postgres',
    password: (await authOf(setting.kube, namespace, 'pg')).password,
    database: 'postgres',
    ssl: ssl && { ...ssl, ...(name && { servername: name }) },
  })
  await client.connect()
  try {
    const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    return rows
  } finally {
    await client.end()
  }
}

async function certificate(namespace: string, alias = 'server'): Promise<Record<string, string>> {
  const secret = await setting.kube.get(Secret, resources.secrets, { namespace, name: `pg-${alias}-cert` })
  return secret?.data ?? {}
}

async function clientConfig(namespace: string) {
  const found = await setting.kube.get(AppBinding, resources.appBindings, { namespace, name: 'pg' })
  const { caBundle, service } = found?.spec.clientConfig ?? {}
  return { ca: caBundle && Buffer.from(caBundle, 'base64').toString(), query: service?.query }
}

test('a database with an issuer has certificates for its names and lets nobody in without TLS', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'tls')
  const db = await createReady(kube, namespace, 'pg', { tls: { issuerRef } })
  t.like(db.spec, { sslMode: 'verify-full', tls: { issuerRef } })
  const secret = await kube.get(Named, resources.secrets, { namespace, name: 'pg-server-cert' })
  t.is(v.parse(v.looseObject({ type: v.string() }), secret).type, 'kubernetes.io/tls')
  for (const alias of ['server', 'client', 'metrics-exporter'])
    t.deepEqual(Object.keys(await certificate(namespace, alias)).sort(), ['ca.crt', 'tls.crt', 'tls.key'])
  const { 'ca.crt': ca = '', 'tls.crt': cert = '' } = await certificate(namespace)
  const parsed = new X509Certificate(cert)
  t.true(parsed.verify(new X509Certificate(ca).publicKey))
  for (const name of [`pg.${namespace}.svc`, `pg-0.pg-pods.${namespace}.svc`, 'localhost'])
    t.is(parsed.checkHost(name), name.startsWith('pg-0') ? `*.pg-pods.${namespace}.svc` : name)
  const address = await addressOf(setting, namespace, 'pg')
  t.is(parsed.checkIP(address), address)
  t.deepEqual(await clientConfig(namespace), { ca, query: 'sslmode=verify-full' })

  t.deepEqual(await ask(namespace, { ca }, `pg.${namespace}.svc`), [{ ssl: true }])
  await t.throwsAsync(ask(namespace, { ca }, 'elsewhere.example'), { message: /does not match certificate/ })
  await t.throwsAsync(ask(namespace, false), { message: /no encryption/ })
})

test('a database whose mode is prefer lets clients in without TLS too', async (t) => {
  const namespace = await createNamespace(setting.kube, 'tls-prefer')
  await createReady(setting.kube, namespace, 'pg', { tls: { issuerRef }, sslMode: 'prefer' })
  t.deepEqual(await ask(namespace, false), [{ ssl: false }])
  const { 'ca.crt': ca = '' } = await certificate(namespace)
  t.deepEqual(await ask(namespace, { ca }), [{ ssl: true }])
})

test('a database whose issuer is missing waits without a word, until it comes', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'tls-missing')
  await setSwitches(kube, namespace, { 'missing-issuers': 'ours' })
  await kube.create(resources.postgreses, postgresManifest(namespace, 'pg', { tls: { issuerRef } }))
  await until('a line about it', async () =>
    setting.lines.includes(`${namespace}/pg: it waits for certificates of an issuer ours`),
  )
  const db = await findPostgres(kube, namespace, 'pg')
  t.is(db?.status.phase, 'Provisioning')
  t.deepEqual(
    db?.status.conditions.map(({ type }) => type),
    ['ProvisioningStarted'],
  )
  await setSwitches(kube, namespace, {})
  await untilPhase(kube, namespace, 'pg', 'Ready')
})

test('ReconfigureTLS adds TLS, makes its certificates anew and takes it away again', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'tls-change')
  await createReady(kube, namespace, 'pg')
  t.deepEqual(await clientConfig(namespace), { ca: undefined, query: 'sslmode=disable' })
  const change = (name: string, tls: object) =>
    succeedOps(kube, namespace, name, 'pg', 'ReconfigureTLS', { tls })

  await change('add', { issuerRef, sslMode: 'require' })
  const first = await certificate(namespace)
  t.deepEqual(await clientConfig(namespace), { ca: first['ca.crt'], query: 'sslmode=require' })
  t.deepEqual(await ask(namespace, { ca: first['ca.crt'] ?? '' }), [{ ssl: true }])
  await t.throwsAsync(ask(namespace, false), { message: /no encryption/ })

  await change('rotate', { rotateCertificates: true })
  const second = await certificate(namespace)
  t.not(second['tls.crt'], first['tls.crt'])
  t.is(second['ca.crt'], first['ca.crt'])
  t.deepEqual(await ask(namespace, { ca: first['ca.crt'] ?? '' }), [{ ssl: true }])

  await change('remove', { remove: true })
  t.deepEqual(await clientConfig(namespace), { ca: undefined, query: 'sslmode=disable' })
  t.deepEqual(await certificate(namespace), {})
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.tls, undefined)
  t.deepEqual(await ask(namespace, false), [{ ssl: false }])
})
