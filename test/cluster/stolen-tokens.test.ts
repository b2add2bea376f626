/**
 * What a hostile holder of a function's token tries, each with that very token where its role lets it ask: refused by the
 * admission policies, with the name of the field. And beside each group what the function itself writes, which passes.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { Json, JsonObject } from '../../shared/values/json.ts'
import { type JsonAnswer, type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { denied, policiesInForce, postgresDraft } from '../support/policies.ts'

const cluster = useCluster(test, { dashboard: true })
const { broker, databases } = cluster.namespaces
const hash = 'abcdefghijklmnopqrstuvwxyz'
const labels = { 'osb.kubedb.com/instance': hash }
const user = `b${'a'.repeat(26)}`

type Ask = TestCluster['admin']
const asked = new Map<string, Ask>()
const functions = [
  'catalog',
  'provision',
  'update',
  'deprovision',
  'last-operation',
  'bind',
  'unbind',
  'last-binding-operation',
  'fetch-instance',
  'fetch-binding',
  'dashboard',
]

test.before('the policies are in force', async () => {
  await cluster.ready()
  await policiesInForce(cluster)
  for (const name of functions) asked.set(name, await cluster.as(`osb-${name}`))
})

function as(name: string): Ask {
  const ask = asked.get(name)
  if (!ask) throw new Error(`nobody asks as ${name}`)
  return ask
}

const dry = (path: string) => `${path}?dryRun=All`

/** The CRDs of the sandbox lack some fields and drop them: what is gone cannot do harm. */
function refused(t: ExecutionContext, answer: JsonAnswer, field: RegExp, evil: RegExp): void {
  if (answer.status < 300 && cluster.crds === 'own') {
    t.log('the CRDs of this run have no such field')
    t.notRegex(answer.text, evil)
    return
  }
  t.true(denied(answer), answer.text)
  t.regex(answer.text, field)
}

const database = (spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject =>
  postgresDraft(spec, { namespace: databases, labels, ...metadata })
const disk = (more: JsonObject) => ({
  storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...more },
})
const owner = (more: JsonObject) => ({
  ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: randomUUID(), ...more }],
})
const env = (name: string) => ({ name: 'X', valueFrom: { secretKeyRef: { name, key: 'password' } } })

interface Attack {
  spec?: JsonObject
  metadata?: JsonObject
  field: RegExp
  /** what of it must not be stored */
  evil?: RegExp
}

/** What a database must not be made with, nor be changed to. */
const inDatabases: { [what: string]: Attack } = {
  'a shell command in its settings': {
    spec: { configuration: { inline: { 'user.conf': "archive_command = 'curl evil'\n" } } },
    field: /spec\.configuration\.inline\.user\.conf/,
  },
  'a shell command behind a setting that is offered': {
    spec: {
      configuration: { inline: { 'user.conf': "max_connections = '20'\narchive_command = 'curl evil'\n" } },
    },
    field: /spec\.configuration\.inline\.user\.conf/,
  },
  'a library that is loaded': {
    spec: { configuration: { inline: { 'user.conf': "shared_preload_libraries = 'evil'\n" } } },
    field: /spec\.configuration\.inline\.user\.conf/,
  },
  'another file of settings': {
    spec: { configuration: { inline: { 'pg_hba.conf': 'host all all evil trust\n' } } },
    field: /spec\.configuration\.inline\.pg_hba\.conf/,
  },
  'the data of another database': {
    spec: { remoteReplica: { sourceRef: { name: 'osb-evil', namespace: databases } } },
    field: /spec\.remoteReplica/,
  },
  'a disk that begins as a copy': {
    spec: disk({ dataSource: { kind: 'PersistentVolumeClaim', name: 'data-evil-0' } }),
    field: /spec\.storage\.dataSource/,
  },
  'a disk that begins as a copy from elsewhere': {
    spec: disk({ dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'data-evil-0', namespace: 'x' } }),
    field: /spec\.storage\.dataSourceRef/,
  },
  'the volume of another': {
    spec: disk({ volumeName: 'pvc-evil' }),
    field: /spec\.storage\.volumeName/,
  },
  'volumes by their labels': {
    spec: disk({ selector: { matchLabels: { evil: 'yes' } } }),
    field: /spec\.storage\.selector/,
  },
  'an archiver of another namespace': {
    spec: { archiver: { ref: { name: 'evil', namespace: 'kube-system' } } },
    field: /spec\.archiver/,
  },
  'an exporter with the Secret of another': {
    spec: { monitor: { agent: 'prometheus.io', prometheus: { exporter: { env: [env('evil')] } } } },
    field: /spec\.monitor/,
  },
  'a privileged exporter': {
    spec: {
      monitor: {
        agent: 'prometheus.io',
        prometheus: { exporter: { securityContext: { privileged: true } } },
      },
    },
    field: /spec\.monitor/,
    evil: /"privileged"/,
  },
  'a Service with addresses of others': {
    spec: {
      serviceTemplates: [{ alias: 'primary', spec: { type: 'LoadBalancer', externalIPs: ['192.0.2.66'] } }],
    },
    field: /spec\.serviceTemplates\[\]\.spec\.externalIPs/,
    evil: /192\.0\.2\.66/,
  },
  'a second Service': {
    spec: { serviceTemplates: [{ alias: 'stats', spec: { type: 'LoadBalancer' } }] },
    field: /spec\.serviceTemplates\[\]\.alias/,
  },
  'a Service that sends elsewhere': {
    spec: { serviceTemplates: [{ alias: 'primary', metadata: { annotations: { evil: 'x' } } }] },
    field: /spec\.serviceTemplates\[\]\.metadata/,
  },
  'the password of another database': {
    spec: { authSecret: { name: 'osb-evil-auth' } },
    field: /spec\.authSecret\.name/,
  },
  'schemas for other namespaces': {
    spec: { allowedSchemas: { namespaces: { from: 'All' } } },
    field: /spec\.allowedSchemas\.namespaces\.from/,
    evil: /"All"/,
  },
  'a container that is root': {
    spec: {
      podTemplate: { spec: { containers: [{ name: 'postgres', securityContext: { runAsUser: 0 } }] } },
    },
    field: /podTemplate\.spec\.containers\[\]\.securityContext\.runAsUser/,
    evil: /"runAsUser":0/,
  },
  'a script as a probe': {
    spec: {
      podTemplate: {
        spec: { containers: [{ name: 'postgres', livenessProbe: { exec: { command: ['evil'] } } }] },
      },
    },
    field: /podTemplate\.spec\.containers\[\]\.livenessProbe/,
  },
  'an owner, with whom it would go': {
    metadata: owner({}),
    field: /metadata\.ownerReferences/,
  },
  'an annotation that others act on': {
    metadata: { annotations: { 'kubedb.com/evil': 'x' } },
    field: /metadata\.annotations\.kubedb\.com\/evil/,
  },
  'a label that others act on': {
    metadata: { labels: { ...labels, 'app.kubernetes.io/evil': 'x' } },
    field: /metadata\.labels\.app\.kubernetes\.io\/evil/,
  },
}

for (const [what, { spec = {}, metadata = {}, field, evil = /evil/ }] of Object.entries(inDatabases)) {
  test(`provision makes no database with ${what}`, async (t) => {
    const path = `${cluster.databasesPath('postgreses')}?dryRun=All`
    refused(t, await as('provision')('POST', path, database(spec, metadata)), field, evil)
  })
}

test('provision makes no database under a name that begins as that of another', async (t) => {
  for (const name of ['osb-6f0a1c6e', `osb-${'b'.repeat(26)}`]) {
    const answer = await as('provision')(
      'POST',
      dry(cluster.databasesPath('postgreses')),
      database({}, { name }),
    )
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /metadata\.name/)
  }
})

test('functions that change databases change nothing but what they change', async (t) => {
  const object = database()
  const name = String((object.metadata as JsonObject).name)
  const one = `${cluster.databasesPath('postgreses')}/${name}`
  t.is((await as('provision')('POST', cluster.databasesPath('postgreses'), object)).status, 201)
  for (const writer of ['update', 'last-operation', 'deprovision']) {
    const patch = (change: Json) => as(writer)('PATCH', dry(one), change)
    const plain = await patch({ spec: { deletionPolicy: 'Delete', halted: false } })
    t.is(plain.status, 200, plain.text)
    for (const [what, { spec, metadata, field, evil = /evil/ }] of Object.entries(inDatabases)) {
      const answer = await patch({ ...(spec ? { spec } : {}), ...(metadata ? { metadata } : {}) })
      t.log(`${writer}: ${what}`)
      const changed = /spec\.(configuration|storage|serviceTemplates)/
      refused(t, answer, new RegExp(`${field.source}|${changed.source}`), evil)
    }
    for (const [field, value] of [
      ['version', '17.9'],
      ['replicas', 3],
      ['storage', { storageClassName: 'other' }],
      ['configuration', { inline: { 'user.conf': "max_connections = '20'\n" } }],
      ['storageType', 'Ephemeral'],
      ['tls', { issuerRef: { apiGroup: 'cert-manager.io', kind: 'ClusterIssuer', name: 'any' } }],
    ] as const) {
      const answer = await patch({ spec: { [field]: value } })
      t.true(denied(answer), `${writer} ${field}: ${answer.text}`)
      t.regex(answer.text, new RegExp(`spec\\.${field}`))
    }
    const elsewhere = await patch({ spec: { podTemplate: { spec: { nodeSelector: { evil: 'yes' } } } } })
    refused(t, elsewhere, /podTemplate\.spec\.nodeSelector/, /evil/)
    const renamed = await patch({ metadata: owner({}) })
    t.true(denied(renamed), renamed.text)
  }
  for (const part of ['labels', 'annotations']) {
    const named = { metadata: { [part]: { 'example.com/team': 'a' } } }
    for (const writer of ['update', 'last-operation'])
      t.is((await as(writer)('PATCH', dry(one), named)).status, 200)
    const answer = await as('deprovision')('PATCH', dry(one), named)
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /metadata\.labels/)
  }
  const addresses = { spec: { serviceTemplates: [{ alias: 'primary', spec: { type: 'LoadBalancer' } }] } }
  t.is((await as('update')('PATCH', dry(one), addresses)).status, 200)
  t.true(denied(await as('deprovision')('PATCH', dry(one), addresses)))
  t.is((await as('deprovision')('DELETE', one)).status, 200)
})

const name = 'osb-6f0a1c6e-8f7c-4a3e-9d52-3f1f4f0c2a11'
const request = (spec: JsonObject, metadata: JsonObject = {}, kind = 'Postgres'): JsonObject => ({
  apiVersion: 'ops.kubedb.com/v1alpha1',
  kind: `${kind}OpsRequest`,
  metadata: {
    name: `${name}-abcdefghijkl-1`,
    namespace: databases,
    labels,
    annotations: { 'osb.kubedb.com/operation': 'abcdefghijkl' },
    ownerReferences: [{ apiVersion: 'kubedb.com/v1', kind, name, uid: randomUUID() }],
    ...metadata,
  },
  spec: { databaseRef: { name }, apply: 'IfReady', timeout: '10m', ...spec },
})

const reconfigure = (configuration: JsonObject): JsonObject => ({ type: 'Reconfigure', configuration })
const settings = {
  removeCustomConfig: true,
  applyConfig: { 'user.conf': "max_connections = '20'\n" },
  restart: 'auto',
}

const inRequests: { [what: string]: Attack } = {
  'a shell command in settings': {
    spec: reconfigure({ applyConfig: { 'user.conf': "archive_command = 'curl evil'\n" } }),
    field: /spec\.configuration\.applyConfig\.user\.conf/,
  },
  'settings from a Secret': {
    spec: reconfigure({ configSecret: { name: 'evil' } }),
    field: /spec\.configuration\.configSecret/,
  },
  'the password of another': {
    spec: { type: 'RotateAuth', authentication: { secretRef: { name: 'evil' } } },
    field: /spec\.(authentication|type)/,
  },
  'a restart': { spec: { type: 'Restart' }, field: /spec\.type/ },
  'a reconnection to a server of its own': {
    spec: { type: 'ReconnectStandby' },
    field: /spec\.type/,
  },
  'certificates under names of its own': {
    spec: {
      type: 'ReconfigureTLS',
      tls: {
        issuerRef: { apiGroup: 'cert-manager.io', kind: 'ClusterIssuer', name: 'internal-ca' },
        certificates: [{ alias: 'server', secretName: 'evil', dnsNames: ['evil.example.com'] }],
      },
    },
    field: /spec\.tls\.certificates/,
  },
  'certificates of an issuer of another kind': {
    spec: {
      type: 'ReconfigureTLS',
      tls: { issuerRef: { apiGroup: 'evil.example.com', kind: 'EvilIssuer', name: 'x' } },
    },
    field: /spec\.tls\.issuerRef\.apiGroup/,
  },
  'the disks of before that stay': {
    spec: {
      type: 'StorageMigration',
      migration: { storageClassName: 'evil', oldPVReclaimPolicy: 'Retain' },
    },
    field: /spec\.migration\.oldPVReclaimPolicy/,
  },
  'another owner, with whom it would go': {
    spec: reconfigure(settings),
    metadata: owner({}),
    field: /metadata\.ownerReferences/,
    evil: /ConfigMap/,
  },
  'an annotation that others act on': {
    spec: reconfigure(settings),
    metadata: { annotations: { 'kubedb.com/evil': 'x' } },
    field: /metadata\.annotations\.kubedb\.com\/evil/,
  },
}
for (const [what, { spec = {}, metadata = {}, field, evil = /evil|"Restart"|Reconnect/ }] of Object.entries(
  inRequests,
)) {
  test(`update and its poll make no OpsRequest with ${what}`, async (t) => {
    for (const writer of ['update', 'last-operation']) {
      const path = dry(cluster.databasesPath('postgresopsrequests'))
      const answer = await as(writer)('POST', path, request(spec, metadata))
      // KubeDB's own rules come first.
      if (answer.status === 422 && !denied(answer)) t.log(answer.text)
      else refused(t, answer, field, evil)
    }
  })
}

test('update and its poll make the OpsRequests of changes, about one database alone', async (t) => {
  const made = await cluster.admin('POST', cluster.databasesPath('postgreses'), database({}, { name }))
  t.is(made.status, 201, made.text)
  const path = dry(cluster.databasesPath('postgresopsrequests'))
  for (const writer of ['update', 'last-operation']) {
    const answer = await as(writer)('POST', path, request(reconfigure(settings)))
    t.is(answer.status, 201, answer.text)
    const other = request({ ...reconfigure(settings), databaseRef: { name: `osb-${randomUUID()}` } })
    t.true(denied(await as(writer)('POST', path, other)))
  }
})

test('certificates are of an issuer that the catalog names, however it is written', async (t) => {
  const other = `osb-${randomUUID()}`
  const made = await cluster.admin('POST', cluster.databasesPath('postgreses'), database({}, { name: other }))
  t.is(made.status, 201, made.text)
  const issuer = (name: string) => ({
    issuerRef: { apiGroup: 'cert-manager.io', kind: 'ClusterIssuer', name },
  })
  const asked = (name: string) => {
    const body = request({ type: 'ReconfigureTLS', databaseRef: { name: other }, tls: issuer(name) })
    const owner = { apiVersion: 'kubedb.com/v1', kind: 'Postgres', name: other, uid: randomUUID() }
    const metadata = { ...(body.metadata as JsonObject), name: `${other}-abcdefghijkl-1` }
    return { ...body, metadata: { ...metadata, ownerReferences: [owner] } }
  }
  const ways: { [file: string]: string } = {
    'catalog.yaml': `services:
  - plans:
      - parameters:
          tls: { issuers: { internal: { kind: ClusterIssuer, name: internal-ca }, far: {name: far.ca , kind: Issuer} } }
          more:
            name: "quoted-ca" # for some
            other:
              name: plain-ca
`,
    'catalog.json': '{"tls":{"issuers":{"internal":{"name":"json-ca","kind":"ClusterIssuer"}}}}',
  }
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'osb-catalog' }, data: ways }
  const configMaps = `/api/v1/namespaces/${broker}/configmaps`
  t.is((await cluster.admin('POST', configMaps, configMap)).status, 201)
  const requests = dry(cluster.databasesPath('postgresopsrequests'))
  // The API server has to hear of it, which takes long while it reads policies of other tests.
  for (const end = Date.now() + 120_000; Date.now() < end; await delay(100))
    if (denied(await as('update')('POST', requests, asked('evil-ca')))) break
  const told = /spec\.tls\.issuerRef\.name: the catalog \(ConfigMap osb-catalog\) names no such issuer/
  for (const name of ['internal-ca', 'far.ca', 'quoted-ca', 'plain-ca', 'json-ca']) {
    for (const writer of ['update', 'last-operation']) {
      const answer = await as(writer)('POST', requests, asked(name))
      t.is(answer.status, 201, `${name}: ${answer.text}`)
    }
    const spec = { tls: issuer(name) }
    const drafted = await as('provision')('POST', dry(cluster.databasesPath('postgreses')), database(spec))
    t.is(drafted.status, 201, `${name}: ${drafted.text}`)
  }
  for (const name of ['evil-ca', 'internal', 'internal-c', 'nternal-ca', 'far-ca', 'a', '.*', 'x|plain-ca']) {
    for (const writer of ['update', 'last-operation']) {
      const answer = await as(writer)('POST', requests, asked(name))
      t.true(denied(answer), `${name}: ${answer.text}`)
      t.regex(answer.text, told)
    }
    const spec = { tls: issuer(name) }
    const drafted = await as('provision')('POST', dry(cluster.databasesPath('postgreses')), database(spec))
    t.true(denied(drafted), `${name}: ${drafted.text}`)
    t.regex(drafted.text, told)
  }
})

const uid = randomUUID()
const users = (metadata: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'Opaque',
  metadata: {
    name: `${name}-users-${uid.slice(0, 8)}`,
    namespace: databases,
    labels,
    ownerReferences: [{ apiVersion: 'kubedb.com/v1', kind: 'Redis', name, uid }],
    ...metadata,
  },
  data: { [user]: 'c2VjcmV0' },
  ...more,
})
const secrets: { [what: string]: [secret: JsonObject, field: RegExp] } = {
  "the token of KubeDB's ServiceAccount": [
    users(
      { annotations: { 'kubernetes.io/service-account.name': 'default' } },
      { type: 'kubernetes.io/service-account-token' },
    ),
    /metadata\.annotations|type: /,
  ],
  'the token of a ServiceAccount, by the annotation alone': [
    users({ annotations: { 'kubernetes.io/service-account.name': 'default' } }),
    /metadata\.annotations/,
  ],
  'a way into the cluster for a node': [users({}, { type: 'bootstrap.kubernetes.io/token' }), /type: /],
  'credentials for a registry': [users({}, { type: 'kubernetes.io/dockercfg' }), /type: |data\[/],
  'a name of its own': [users({ name: 'osb-mine' }), /metadata\.name/],
  'the name of a password of KubeDB': [users({ name: `${name}-auth` }), /metadata\.name/],
  'other keys': [users({}, { data: { password: 'c2VjcmV0' } }), /data: /],
  'other keys as text': [users({}, { stringData: { password: 'secret' } }), /data: /],
  'an annotation': [users({ annotations: { 'example.com/x': 'y' } }), /metadata\.annotations/],
  'a label of others': [users({ labels: { ...labels, 'example.com/x': 'y' } }), /metadata\.labels/],
  'no owner': [users({ ownerReferences: [] }), /metadata\.ownerReferences/],
  'another owner': [users(owner({ kind: 'Redis', name })), /metadata\.ownerReferences/],
  'the mark that nobody changes it': [users({}, { immutable: true }), /immutable/],
}
for (const [what, [secret, field]] of Object.entries(secrets)) {
  test(`bind and its poll make no Secret with ${what}`, async (t) => {
    for (const writer of ['bind', 'last-binding-operation']) {
      const answer = await as(writer)('POST', dry(cluster.databasesPath('secrets')), secret)
      t.is(answer.status, 422, answer.text)
      t.regex(answer.text, field)
    }
  })
}

/** The Redis of that name, made when it is first asked for. */
let madeRedis: Promise<JsonAnswer> | undefined
async function redisUid(): Promise<string> {
  const redis = { ...database({ version: '8.2.2' }, { name }), kind: 'Redis' }
  madeRedis ??= cluster.admin('POST', cluster.databasesPath('redises'), redis)
  return textAt((await madeRedis).body, 'metadata', 'uid')
}

test('bind makes the Secret of users, changes passwords in it and nothing else, and not those of KubeDB', async (t) => {
  const ownerUid = await redisUid()
  const users8 = `${name}-users-${ownerUid.slice(0, 8)}`
  const owned = { ownerReferences: [{ apiVersion: 'kubedb.com/v1', kind: 'Redis', name, uid: ownerUid }] }
  const secret = users({ name: users8, ...owned })
  const made = await as('bind')('POST', cluster.databasesPath('secrets'), secret)
  t.is(made.status, 201, made.text)
  const one = `${cluster.databasesPath('secrets')}/${users8}`
  const more = { data: { [`b${'c'.repeat(26)}`]: 'c2VjcmV0', [user]: null } }
  for (const writer of ['bind', 'last-binding-operation']) {
    const patched = await as(writer)('PATCH', dry(one), more)
    t.is(patched.status, 200, patched.text)
    for (const patch of [
      { data: { password: 'c2VjcmV0' } },
      { metadata: { annotations: { 'kubernetes.io/service-account.name': 'default' } } },
      { metadata: { labels: { x: 'y' } } },
      { metadata: owner({}) },
      { immutable: true },
    ]) {
      const answer = await as(writer)('PATCH', dry(one), patch)
      t.true(denied(answer), answer.text)
    }
  }
  const foreign = { ...users({ name: `${name}-auth`, ...owned }), data: { password: 'c2VjcmV0' } }
  t.is((await cluster.admin('POST', cluster.databasesPath('secrets'), foreign)).status, 201)
  const auth = `${cluster.databasesPath('secrets')}/${name}-auth`
  t.true(denied(await as('bind')('PATCH', dry(auth), { data: { password: 'bWluZQ==' } })))
  t.true(denied(await as('bind')('PATCH', dry(auth), { data: { [user]: 'bWluZQ==' } })))
})

test('who binds makes users by OpsRequests, and changes no database by them; who unbinds only removes them', async (t) => {
  await redisUid()
  const path = dry(cluster.databasesPath('redisopsrequests'))
  const users = {
    type: 'Reconfigure',
    configuration: { auth: { deleteUsers: [user] }, restart: 'false' },
  }
  const rule = (text: string) => ({
    type: 'Reconfigure',
    configuration: {
      auth: { secretRef: { name: `${name}-users-6f0a1c6e` }, syncACL: [text] },
      restart: 'false',
    },
  })
  const secret = (of: string) => ({
    type: 'Reconfigure',
    configuration: { auth: { secretRef: { name: of }, deleteUsers: [user] }, restart: 'false' },
  })
  const hostile: [spec: JsonObject, field: RegExp][] = [
    [rule(`${user} \${${user}} ~* &* +@all`), /syncACL/],
    [rule('default nopass ~* &* +@all'), /syncACL/],
    [
      { type: 'Reconfigure', configuration: { auth: { deleteUsers: ['default'] }, restart: 'false' } },
      /deleteUsers/,
    ],
    [secret('osb-other-users-6f0a1c6e'), /secretRef/],
    [secret(`${name}-auth`), /secretRef/],
    [
      { type: 'VerticalScaling', verticalScaling: { redis: { resources: { limits: { memory: '9Ti' } } } } },
      /spec\.type|verticalScaling/,
    ],
    [
      { type: 'Reconfigure', configuration: { applyConfig: { 'redis.conf': 'loadmodule evil\n' } } },
      /applyConfig/,
    ],
  ]
  const called = { name: `${name}-users-1` }
  for (const writer of ['bind', 'last-binding-operation', 'unbind']) {
    const good = await as(writer)('POST', path, request(users, called, 'Redis'))
    t.is(good.status, 201, good.text)
    const asUpdate = await as(writer)('POST', path, request(users, {}, 'Redis'))
    t.true(denied(asUpdate), asUpdate.text)
    t.regex(asUpdate.text, /metadata\.name/)
    for (const [spec, field] of hostile) {
      const answer = await as(writer)('POST', path, request(spec, called, 'Redis'))
      t.true(denied(answer), answer.text)
      t.regex(answer.text, field)
    }
    const elsewhere = await as(writer)(
      'POST',
      dry(cluster.databasesPath('postgresopsrequests')),
      request(reconfigure(settings)),
    )
    t.true(denied(elsewhere), elsewhere.text)
  }
  for (const writer of ['unbind', 'last-operation']) {
    t.is((await as(writer)('POST', path, request(users, called, 'Redis'))).status, 201)
    const making = await as(writer)('POST', path, request(secret(`${name}-users-6f0a1c6e`), called, 'Redis'))
    t.true(denied(making), making.text)
    t.regex(making.text, /secretRef/)
  }
  const changing = await as('update')('POST', path, request(users, called, 'Redis'))
  t.true(denied(changing), changing.text)
})

test('who binds withdraws no step of an update', async (t) => {
  const path = cluster.databasesPath('redisopsrequests')
  // Without its owner it would be collected.
  const ownerUid = await redisUid()
  const owned = { ownerReferences: [{ apiVersion: 'kubedb.com/v1', kind: 'Redis', name, uid: ownerUid }] }
  const step = request({ type: 'Restart' }, { name: `${name}-ijklmnopqrst-1`, ...owned }, 'Redis')
  const made = await cluster.admin('POST', path, step)
  t.is(made.status, 201, made.text)
  const users = {
    type: 'Reconfigure',
    configuration: { auth: { deleteUsers: [user] }, restart: 'false' },
  }
  const own = await as('bind')('POST', path, request(users, { name: `${name}-users-2`, ...owned }, 'Redis'))
  t.is(own.status, 201, own.text)
  for (const writer of ['bind', 'last-binding-operation', 'unbind']) {
    const answer = await as(writer)('DELETE', dry(`${path}/${name}-ijklmnopqrst-1`))
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /metadata\.name: functions of bindings/)
    t.is((await as(writer)('DELETE', dry(`${path}/${name}-users-2`))).status, 200)
  }
  for (const writer of ['update', 'deprovision', 'last-operation'])
    t.is((await as(writer)('DELETE', dry(`${path}/${name}-ijklmnopqrst-1`))).status, 200)
})

const appBinding = (record: string, spec: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: 'appcatalog.appscode.com/v1alpha1',
  kind: 'AppBinding',
  metadata: { name: `osb-${record}-${hash}`, namespace: broker, labels, ...metadata },
  spec: { clientConfig: {}, ...spec },
})
const appRef = { apiGroup: 'kubedb.com', kind: 'Postgres', namespace: databases, name }
const instance = { type: 'osb.kubedb.com/instance', appRef }
const binding = { type: 'osb.kubedb.com/binding' }

test('a record leads to no foreign host, Secret or namespace, so that no password is sent there', async (t) => {
  const path = dry(cluster.recordsPath())
  const good = await as('provision')('POST', path, appBinding('i', instance))
  t.is(good.status, 201, good.text)
  t.is((await as('bind')('POST', path, appBinding('b', binding))).status, 201)
  const attempts: [writer: string, record: JsonObject, field: RegExp][] = [
    ['provision', appBinding('i', { ...instance, clientConfig: { url: 'tcp(evil:1)/' } }), /clientConfig/],
    [
      'provision',
      appBinding('i', { ...instance, clientConfig: { service: { scheme: 'x', name: 'evil', port: 1 } } }),
      /clientConfig/,
    ],
    ['provision', appBinding('i', { ...instance, secret: { name: 'osb-keys' } }), /spec\.secret/],
    ['provision', appBinding('i', { ...instance, tlsSecret: { name: 'x' } }), /spec\.tlsSecret/],
    [
      'provision',
      appBinding('i', { ...instance, parameters: { apiVersion: 'v1', kind: 'Evil' } }),
      /spec\.parameters/,
    ],
    [
      'provision',
      appBinding('i', { ...instance, appRef: { ...appRef, namespace: 'kube-system' } }),
      /spec\.appRef/,
    ],
    ['provision', appBinding('i', { ...instance, appRef: { ...appRef, namespace: broker } }), /spec\.appRef/],
    ['provision', appBinding('i', { ...instance, appRef: { ...appRef, name: 'payroll' } }), /spec\.appRef/],
    ['provision', appBinding('i', { ...instance, appRef: { ...appRef, kind: 'Secret' } }), /spec\.appRef/],
    ['provision', appBinding('b', binding), /spec\.type/],
    ['bind', appBinding('i', instance), /spec\.type/],
    ['bind', appBinding('b', { ...binding, appRef }), /spec\.appRef/],
    ['bind', appBinding('b', binding, owner({})), /metadata\.ownerReferences/],
    ['bind', appBinding('b', binding, { annotations: { 'example.com/x': 'y' } }), /metadata\.annotations/],
  ]
  for (const [writer, record, field] of attempts) {
    const answer = await as(writer)('POST', path, record)
    t.true(denied(answer), `${field}: ${answer.text}`)
    t.regex(answer.text, field)
  }
  const stored = await as('provision')('POST', cluster.recordsPath(), appBinding('i', instance))
  t.is(stored.status, 201, stored.text)
  const one = `${cluster.recordsPath()}/osb-i-${hash}`
  const { metadata } = stored.body
  const moved = appBinding('i', { ...instance, appRef: { ...appRef, name: `osb-${randomUUID()}` } })
  for (const writer of ['provision', 'update', 'last-operation']) {
    const answer = await as(writer)('PUT', dry(one), { ...moved, metadata })
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /spec\.appRef/)
  }
})

test('who binds writes and removes records of bindings alone, who makes and changes instances theirs', async (t) => {
  const other = 'b'.repeat(26)
  const records = {
    i: appBinding('i', instance, { name: `osb-i-${other}` }),
    b: appBinding('b', binding, { name: `osb-b-${other}` }),
  }
  const made = {
    i: await as('provision')('POST', cluster.recordsPath(), records.i),
    b: await as('bind')('POST', cluster.recordsPath(), records.b),
  }
  const path = (of: 'i' | 'b') => dry(`${cluster.recordsPath()}/osb-${of}-${other}`)
  const change = (of: 'i' | 'b', writer: string) => {
    t.is(made[of].status, 201, made[of].text)
    return as(writer)('PUT', path(of), made[of].body)
  }
  const told = (answer: JsonAnswer) => {
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /spec\.type: each function writes/)
  }
  for (const writer of ['bind', 'unbind', 'last-binding-operation']) {
    t.is((await change('b', writer)).status, 200)
    t.is((await as(writer)('DELETE', path('b'))).status, 200)
    told(await change('i', writer))
    told(await as(writer)('DELETE', path('i')))
  }
  for (const writer of ['provision', 'update', 'deprovision', 'last-operation'])
    t.is((await change('i', writer)).status, 200)
  for (const writer of ['provision', 'update', 'deprovision']) told(await change('b', writer))
  // What became of users while the database was halted, its poll writes down.
  t.is((await change('b', 'last-operation')).status, 200)
  told(await as('provision')('DELETE', path('b')))
  for (const writer of ['deprovision', 'last-operation']) {
    t.is((await as(writer)('DELETE', path('b'))).status, 200)
    t.is((await as(writer)('DELETE', path('i'))).status, 200)
  }
})

test('nobody reads a Secret, a pod or a record but those whose work it is', async (t) => {
  for (const writer of ['catalog', 'provision', 'update']) {
    t.is((await as(writer)('GET', cluster.databasesPath('secrets'))).status, 403)
    t.is((await as(writer)('GET', `${cluster.databasesPath('secrets')}/${name}-auth`)).status, 403)
  }
  for (const writer of functions) {
    t.is((await as(writer)('GET', cluster.databasesPath('secrets'))).status, 403)
    t.is((await as(writer)('GET', '/api/v1/namespaces/kube-system/secrets')).status, 403)
    t.is((await as(writer)('GET', `/api/v1/namespaces/${broker}/secrets/osb-keys`)).status, 403)
    const token = `/api/v1/namespaces/${broker}/serviceaccounts/osb-bind/token`
    t.is((await as(writer)('POST', token, { spec: { audiences: [] } })).status, 403)
  }
})

test('whose work is to read writes nothing at all', async (t) => {
  for (const reader of ['catalog', 'fetch-instance', 'fetch-binding', 'dashboard']) {
    for (const [path, object] of [
      [cluster.databasesPath('postgreses'), database()],
      [cluster.databasesPath('postgresopsrequests'), request({ type: 'UpdateVersion' })],
      [cluster.databasesPath('secrets'), users()],
      [cluster.recordsPath(), appBinding('i', instance)],
    ] as const) {
      t.is((await as(reader)('POST', dry(path), object)).status, 403, `${reader}: ${path}`)
      const one = `${path}/${textAt(object, 'metadata', 'name')}`
      t.is((await as(reader)('PATCH', dry(one), { metadata: { labels } })).status, 403, `${reader}: ${path}`)
      t.is((await as(reader)('DELETE', dry(one))).status, 403, `${reader}: ${path}`)
    }
  }
})

test('nobody deletes what is not the broker’s', async (t) => {
  const foreign = { ...database({}, { name: 'payroll-2', labels: { app: 'payroll' } }) }
  t.is((await cluster.admin('POST', cluster.databasesPath('postgreses'), foreign)).status, 201)
  const record = { ...appBinding('i', instance), metadata: { name: 'payroll', namespace: broker } }
  t.is((await cluster.admin('POST', cluster.recordsPath(), record)).status, 201)
  for (const writer of ['provision', 'deprovision', 'last-operation']) {
    t.true(denied(await as(writer)('DELETE', dry(`${cluster.databasesPath('postgreses')}/payroll-2`))))
    t.true(denied(await as(writer)('DELETE', dry(`${cluster.recordsPath()}/payroll`))))
  }
})
