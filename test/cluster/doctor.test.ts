/** The doctor, on a cluster where everything is in order and then one thing after the other is not. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { examine } from '../../doctor/doctor.ts'
import type { Finding } from '../../doctor/examination.ts'
import { type Ask, impersonating } from '../../doctor/kube.ts'
import { doctor } from '../../generate/doctor.ts'
import { nameOf } from '../../generate/roles.ts'
import { knativeServices } from '../../generate/services.ts'
import { applyDashboardRoles, applyRoles } from '../../sandbox/broker/service-accounts.ts'
import { administratorOf, apply } from '../../sandbox/control-plane/administrator.ts'
import type { ControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { installCrds } from '../../sandbox/control-plane/crds.ts'
import { ask, mintToken, type PatchType } from '../../sandbox/control-plane/request.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane/with-kinds.ts'
import { Kube } from '../../sandbox/operator/cluster/kube.ts'
import { kinds as standIns } from '../../sandbox/operator/kinds/kinds.ts'
import { startWebhooks } from '../../sandbox/operator/webhooks/webhooks.ts'
import { AppBinding } from '../../shared/kubedb/cluster/object.ts'
import { kindOf, kinds } from '../../shared/kubedb/databases/kinds.ts'
import { draftDatabase } from '../../shared/kubedb/instances/database-draft.ts'
import {
  databaseOf,
  draftInstanceRecord,
  InstanceInfo,
  InstanceOperation,
  parseInstanceRecord,
} from '../../shared/kubedb/records/instance-record.ts'
import { bindingRecordName, hash26, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import { catalogOf, type Service } from '../../shared/osb/catalog/catalog.ts'
import { readCatalogYaml } from '../../shared/osb/catalog/yaml.ts'
import { edgeRouter, routes } from '../../shared/routes.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import type { Bounds } from '../../shared/values/nouns.ts'
import { objectIn, sharedCluster } from '../support/cluster.ts'

const root = join(import.meta.dirname, '../..')
const broker = 'kubedb-service-broker'
const databases = 'databases'
const upstream = join(root, '../shared/crds')
const catalogText = readFileSync(join(root, 'knative/base/catalog.yaml'), 'utf8')
const golden = (name: string): JsonObject =>
  objectIn(readFileSync(join(root, 'test/unit/golden', name), 'utf8'))

let plane: ControlPlane
let webhooks: Awaited<ReturnType<typeof startWebhooks>>
let directory: string
let services: readonly Service[]

const deployments = `/apis/apps/v1/namespaces/${broker}/deployments`
const secrets = `/api/v1/namespaces/${broker}/secrets`
const classes = '/apis/storage.k8s.io/v1/storageclasses'
const records = `/apis/appcatalog.appscode.com/v1alpha1/namespaces/${broker}/appbindings`
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const merge = 'application/merge-patch+json'

async function admin(
  method: string,
  path: string,
  body?: unknown,
  patchType?: PatchType,
): Promise<JsonObject> {
  const answer = await ask(plane, method, path, body, patchType)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
  return objectIn(answer.body)
}

async function gone(path: string): Promise<void> {
  await admin('DELETE', path)
  for (let tries = 0; (await ask(plane, 'GET', path)).status !== 404; tries++) {
    if (tries === 200) throw new Error(`${path} stays`)
    await delay(100)
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
const usersSecret = (content: string) => ({
  metadata: { name: 'osb-users' },
  data: { 'users.json': base64(content) },
})
const goodUsers = usersSecret('[{"username":"u","password":"hunter2hunter2"}]')
const keysSecret = (data: { [id: string]: string }) => ({ metadata: { name: 'osb-keys' }, data })
const goodKeys = keysSecret({ '2026-01': base64(base64('0123456789abcdef')) })
const deployment = (name: string) => ({
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'function', image: 'kubedb-service-broker' }] },
    },
  },
})
const storageClass = (name: string, more: JsonObject = {}) => ({
  metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'example.com/none',
  allowVolumeExpansion: true,
  ...more,
})

test.before(async (t) => {
  services = catalogOf(readCatalogYaml(catalogText, kinds), kinds).services
  directory = await mkdtemp(join(tmpdir(), 'doctor-'))
  plane = await startControlPlaneWithKinds({ directory, progress: (line) => t.log(line) })
  await applyRoles(administratorOf(plane), { broker, databases }, [...kinds.values()])
  webhooks = await startWebhooks({
    kube: await Kube.fromFile(plane.kubeconfigFile),
    kinds: standIns,
    certificateFile: plane.certificateFile,
    keyFile: plane.keyFile,
    caFile: plane.caFile,
    log: (line) => t.log(line),
  })
  for (const name of [...routes.map(nameOf), `osb-${edgeRouter}`])
    await admin('POST', deployments, deployment(name))
  await admin('POST', secrets, goodUsers)
  await admin('POST', secrets, goodKeys)
  await admin('POST', classes, storageClass('standard'))
  await admin('POST', `/api/v1/namespaces/${broker}/configmaps`, {
    metadata: { name: 'osb-catalog' },
    data: { 'catalog.yaml': catalogText },
  })
})

test.after.always(async () => {
  await webhooks?.stop()
  await plane?.stop()
  await rm(directory, { recursive: true, force: true })
})

const asAdministrator: Ask = async (method, path, body, as) => {
  const answer = await ask(plane, method, path, body, undefined, as && impersonating(as))
  return { status: answer.status, body: parsed(answer.body) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface Look {
  lines: string[]
  left: Finding[]
}

async function look(options: { repair?: boolean; now?: number; as?: Ask } = {}): Promise<Look> {
  const lines: string[] = []
  const { repair = false, as = asAdministrator, ...more } = options
  const patient = { ask: as, broker, databases: [databases], services }
  const left = await examine(patient, { repair, say: (line) => lines.push(line), ...more })
  return { lines, left }
}

const shown = ({ left }: Look) =>
  left.map(({ severity, problem, cure }) => `${severity} ${problem} → ${cure}`)

/** Just this is found, and its cure says that. */
function finds(t: ExecutionContext, seen: Look, ...expected: RegExp[]): void {
  const texts = shown(seen)
  t.is(texts.length, expected.length, texts.join('\n'))
  for (const [index, why] of expected.entries()) t.regex(texts[index] ?? '', why)
}

test.serial('where everything is in order nothing is found', async (t) => {
  const seen = await look()
  t.deepEqual(shown(seen), [])
  t.is(seen.lines.filter((line) => line.startsWith('ok ')).length, 15)
  const [note, cure, ...others] = seen.lines.filter((line) => !line.startsWith('ok '))
  t.regex(
    note ?? '',
    /^note {6}MySQLVersion 9\.1\.0, which may be chosen, is at the end of its life; plans that offer it: mysql\/demo-mysql, /,
  )
  t.regex(cure ?? '', /^ {10}→ .*unless it is what an upgrade has to go by$/)
  t.deepEqual(others, [])
})

const opsRequests = `/apis/ops.kubedb.com/v1alpha1/namespaces/${databases}/memcachedopsrequests`

/** Waits for what the API server does a moment later. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries === 200) throw new Error('it does not come to be')
    await delay(100)
  }
}

test.serial('a kind that is not served', async (t) => {
  await gone(`${crds}/memcachedopsrequests.ops.kubedb.com`)
  // What is served is told a moment later.
  await until(async () => (await ask(plane, 'GET', opsRequests)).status === 404)
  finds(
    t,
    await look(),
    /^broken KubeDB's Memcached is in the catalog, but the cluster does not serve memcachedopsrequests \(ops\.kubedb\.com\/v1alpha1\) → .*featureGates\.Memcached=true/,
  )
  await installCrds(plane)
})

test.serial('versions that are not there, or refused, or old', async (t) => {
  const versions = '/apis/catalog.kubedb.com/v1alpha1'
  await admin('DELETE', `${versions}/redisversions/8.2.2`)
  await admin('PATCH', `${versions}/memcachedversions/1.6.40`, { spec: { deprecated: true } }, merge)
  await admin('PATCH', `${versions}/postgresversions/18.3`, { spec: { endOfLife: true } }, merge)
  const texts = shown(await look())
  t.true(
    texts.some((text) =>
      /^broken RedisVersion 8\.2\.2 is not in the cluster; plans that name it: redis\/.*kubectl get redisversions/.test(
        text,
      ),
    ),
    texts.join('\n'),
  )
  t.true(texts.some((text) => /^broken MemcachedVersion 1\.6\.40 is deprecated.* memcached\//.test(text)))
  t.true(
    texts.some((text) =>
      /^doubtful PostgresVersion 18\.3, which new instances get, is at the end of its life.* postgresql\/small/.test(
        text,
      ),
    ),
  )
  t.is(texts.length, 3, texts.join('\n'))
  await installCrds(plane)
  await admin('PATCH', `${versions}/memcachedversions/1.6.40`, { spec: { deprecated: false } }, merge)
  await admin('PATCH', `${versions}/postgresversions/18.3`, { spec: { endOfLife: false } }, merge)
  finds(t, await look())
})

test.serial('storage classes that are not there, or let no disk grow', async (t) => {
  await admin('DELETE', `${classes}/standard`)
  const without = shown(await look())
  t.true(without.length > 0)
  for (const text of without)
    t.regex(
      text,
      /^broken plan \w+\/[\w-]+ names no StorageClass, and the cluster has no default one → .*kubectl annotate/,
    )
  t.true(without.some((text) => text.includes('postgresql/small')))
  t.false(without.some((text) => text.includes('memcached/')))

  await admin('POST', classes, storageClass('standard', { allowVolumeExpansion: false }))
  const stiff = shown(await look())
  t.true(
    stiff.some((text) =>
      /^doubtful plan postgresql\/small lets disks grow, which the StorageClass standard does not/.test(text),
    ),
  )
  t.false(stiff.some((text) => text.startsWith('broken')))

  const [first] = services
  const plan = first?.plans.find(({ name }) => name === 'small')
  if (!first || !plan) throw new Error('no plan small')
  await admin('PATCH', `${classes}/standard`, { allowVolumeExpansion: true }, merge)
  const before = services
  services = [{ ...first, plans: [{ ...plan, parameters: { storageClass: { enum: ['fast'] } } }] }]
  finds(
    t,
    await look(),
    /^broken plan postgresql\/small names the StorageClass fast, which is not in the cluster/,
  )
  services = before
})

/** One plan of PostgreSQL, as the catalog has it but for this. */
function planLike(more: (spec: JsonObject) => JsonObject, parameters?: Bounds): readonly Service[] {
  const service = services.find(({ kind }) => kind === 'Postgres')
  const plan = service?.plans.find(({ name }) => name === 'small')
  if (!service || !plan) throw new Error('no plan small of PostgreSQL')
  const changed = { ...plan, spec: more(plan.spec), parameters: parameters ?? plan.parameters }
  return [{ ...service, plans: [changed] }]
}

const hooks = '/apis/admissionregistration.k8s.io/v1'

test.serial('a kind whose feature gate is off, and a plan that KubeDB refuses', async (t) => {
  const Hooks = v.object({ webhooks: v.array(v.looseObject({ name: v.string() })) })
  const registered: { path: string; all: v.InferOutput<typeof Hooks>['webhooks'] }[] = []
  for (const name of ['mutating/mutators', 'validating/validators', 'validating/validators.ops']) {
    const [type, who] = name.split('/')
    const path = `${hooks}/${type}webhookconfigurations/${who}.kubedb.com`
    const { webhooks: all } = v.parse(Hooks, await admin('GET', path))
    registered.push({ path, all })
    const others = all.filter((one) => !one.name.startsWith('memcached'))
    t.is(others.length, all.length - 1)
    await admin('PATCH', path, { webhooks: others }, merge)
  }
  const before = services
  const [bad] = planLike((spec) => ({ ...spec, sslMode: 'require' }))
  services = [...before.filter(({ kind }) => kind === 'Memcached'), ...(bad ? [bad] : [])]
  finds(
    t,
    await look(),
    /^broken no webhook of KubeDB is registered to complete memcacheds, to judge memcacheds, to judge memcachedopsrequests: its feature gate Memcached is off, .* → .*--set global\.featureGates\.Memcached=true/,
    /^broken KubeDB on this cluster refuses plan postgresql\/small \(with the least that may be asked for; with the most that may be asked for.*\): .*SSLMode when .*TLS is null → correct spec or parameters/,
  )
  for (const { path, all } of registered) await admin('PATCH', path, { webhooks: all }, merge)
  services = before
})

test.serial('nothing is made of what is tried', async (t) => {
  finds(t, await look())
  for (const { apiVersion, plural } of kinds.values()) {
    const { items } = await admin('GET', `/apis/${apiVersion}/namespaces/${databases}/${plural}`)
    t.deepEqual(items, [])
  }
})

test.serial('a plan with a field that the CRD does not have', async (t) => {
  const before = services
  services = planLike((spec) => ({ ...spec, bogus: 1 }))
  finds(
    t,
    await look(),
    /^broken the CRD of Postgres on this cluster does not take plan postgresql\/small .*: unknown field "spec\.bogus" → correct the spec/,
  )
  services = before
})

test.serial('a policy that stops what KubeDB makes of a plan, for functions only', async (t) => {
  const name = 'no-health-checker'
  await admin('POST', `${hooks}/validatingadmissionpolicies`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ['kubedb.com'],
            apiVersions: ['*'],
            operations: ['CREATE'],
            resources: ['postgreses'],
          },
        ],
      },
      matchConditions: [
        {
          name: 'functions',
          expression: `request.userInfo.username == "system:serviceaccount:${broker}:osb-provision"`,
        },
      ],
      validations: [
        { expression: '!has(object.spec.healthChecker)', message: 'spec.healthChecker is not taken here' },
      ],
    },
  })
  await admin('POST', `${hooks}/validatingadmissionpolicybindings`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  })
  const before = services
  services = planLike((spec) => spec)
  await until(async () => (await look()).left.length > 0)
  finds(
    t,
    await look(),
    /^broken the policy no-health-checker stops what KubeDB makes of plan postgresql\/small .*: spec\.healthChecker is not taken here → apply knative\/base\/230-admission-policy\.yaml/,
  )
  services = before
  await admin('DELETE', `${hooks}/validatingadmissionpolicybindings/${name}`)
  await admin('DELETE', `${hooks}/validatingadmissionpolicies/${name}`)
})

test.serial('who may look, but not create, is told what was not tried', async (t) => {
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'onlooker' }
  const looking = [
    { apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ]
  await admin('POST', `${rbac}/clusterroles`, { metadata: { name: 'onlooker' }, rules: looking })
  await admin('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: 'onlooker' },
    roleRef: role,
    subjects: [{ kind: 'ServiceAccount', name: 'onlooker', namespace: broker }],
  })
  await admin('POST', `/api/v1/namespaces/${broker}/serviceaccounts`, { metadata: { name: 'onlooker' } })
  const token = await mintToken(plane, broker, 'onlooker', 3600)
  const as: Ask = async (method, path, body, account) => {
    const headers = account && impersonating(account)
    const answer = await ask({ ...plane, adminToken: token }, method, path, body, undefined, headers)
    return { status: answer.status, body: parsed(answer.body) }
  }
  const before = services
  services = planLike((spec) => spec)
  await delay(1000)
  finds(
    t,
    await look({ as }),
    /^doubtful not tried, whether KubeDB takes plan postgresql\/small .*: postgreses\.kubedb\.com is forbidden: .* → run this as somebody who may create databases/,
  )
  const making = { apiGroups: ['kubedb.com'], resources: ['*'], verbs: ['create'] }
  await admin('PATCH', `${rbac}/clusterroles/onlooker`, { rules: [...looking, making] }, merge)
  await delay(1000)
  finds(
    t,
    await look({ as }),
    /^doubtful not tried, whether the policy lets through what KubeDB makes of plan postgresql\/small .* → run this as somebody who may impersonate ServiceAccount osb-provision/,
  )
  services = before
  await admin('DELETE', `${rbac}/clusterrolebindings/onlooker`)
  await admin('DELETE', `${rbac}/clusterroles/onlooker`)
})

test.serial('the ServiceAccount of the Job may look at everything, and try every plan', async (t) => {
  const [, ...objects] = doctor({ broker, databases }, [...kinds.values()])
  const granted = objects.filter(({ kind }) => kind !== 'Job')
  await apply(administratorOf(plane), granted)
  await admin('POST', `/api/v1/namespaces/${broker}/serviceaccounts`, { metadata: { name: 'osb-doctor' } })
  const token = await mintToken(plane, broker, 'osb-doctor', 3600)
  const as: Ask = async (method, path, body, account) => {
    const headers = account && impersonating(account)
    const answer = await ask({ ...plane, adminToken: token }, method, path, body, undefined, headers)
    return { status: answer.status, body: parsed(answer.body) }
  }
  await until(async () => (await look({ as })).left.length === 0)
  const path = `/apis/kubedb.com/v1/namespaces/${databases}/postgreses?dryRun=All`
  t.is((await as('POST', path, {})).status, 403)
})

test.serial('issuers that are not there', async (t) => {
  const before = services
  services = planLike((spec) => spec, {
    tls: { issuers: { a: { kind: 'ClusterIssuer', name: 'ca' }, b: { kind: 'Issuer', name: 'own' } } },
  })
  const missing = [
    /^broken ClusterIssuer ca is not in the cluster; plans that name it: postgresql\/small → make it with cert-manager/,
    /^broken Issuer own is not in namespace databases; plans that name it: postgresql\/small/,
  ]
  finds(
    t,
    await look(),
    ...missing,
    /^broken the policy osb-issuers\S* stops what KubeDB makes of plan postgresql\/small .*names no such issuer → apply this catalog/,
  )
  const catalog = `/api/v1/namespaces/${broker}/configmaps/osb-catalog`
  await admin('PATCH', catalog, { data: { 'issuers.json': '[{"name":"ca"},{"name":"own"}]' } })
  // The policy hears of it a moment later.
  let found = await look()
  for (const end = Date.now() + 60_000; Date.now() < end && shown(found).length > 2; await delay(200))
    found = await look()
  finds(t, found, ...missing)
  await admin('PATCH', catalog, { data: { 'issuers.json': null } })
  services = before
})

test.serial('permissions and accounts that are missing', async (t) => {
  const bindings = `/apis/rbac.authorization.k8s.io/v1/namespaces/${databases}/rolebindings`
  await admin('DELETE', `${bindings}/osb-unbind`)
  await admin('DELETE', `/api/v1/namespaces/${broker}/serviceaccounts/osb-catalog`)
  const update = `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/osb-update.${broker}`
  await admin('DELETE', update)
  // The authorizer sees it a moment later.
  await delay(1000)
  finds(
    t,
    await look(),
    /^broken ServiceAccount osb-unbind may not get .*postgreses\.kubedb\.com; .*get secrets in namespace databases → apply knative\/base\/2\*\.yaml again, 220-database-roles\.yaml for namespace databases$/,
    /^broken ServiceAccount osb-update may not list .*postgresversions\.catalog\.kubedb\.com.* in the whole cluster/,
    /^broken ServiceAccount osb-catalog is not in namespace kubedb-service-broker/,
  )
  await applyRoles(administratorOf(plane), { broker, databases }, [...kinds.values()])
})

test.serial('a configuration that no function starts with', async (t) => {
  const path = `/api/v1/namespaces/${broker}/configmaps`
  await admin('POST', path, { metadata: { name: 'osb-configuration' }, data: { LOG_LEVEL: 'loud' } })
  finds(
    t,
    await look(),
    /^broken ConfigMap osb-configuration: LOG_LEVEL is "loud": must be error, .*docs\/configuration\.md/,
  )
  await admin('DELETE', `${path}/osb-configuration`)
})

test.serial(
  'the configuration is the one that the functions name, with a hash in its name or not',
  async (t) => {
    const path = `/api/v1/namespaces/${broker}/configmaps`
    const name = 'osb-configuration-t2k6fkf8mb'
    const [first] = routes.map(nameOf)
    await admin('POST', path, {
      metadata: { name: 'osb-configuration' },
      data: { LOG_LEVEL: 'of no function' },
    })
    await admin('POST', path, { metadata: { name }, data: { LOG_LEVEL: 'loud' } })
    const envFrom = [{ configMapRef: { name, optional: true } }]
    const container = { name: 'function', image: 'kubedb-service-broker' }
    const patch = (one: object) => ({ spec: { template: { spec: { containers: [one] } } } })
    await admin('PATCH', `${deployments}/${first}`, patch({ ...container, envFrom }))
    finds(
      t,
      await look(),
      /^broken ConfigMap osb-configuration-t2k6fkf8mb: LOG_LEVEL is "loud": must be error, /,
    )
    await admin('DELETE', `${path}/${name}`)
    await admin('DELETE', `${path}/osb-configuration`)
    t.is((await look()).left.length, 0)
    await admin('PATCH', `${deployments}/${first}`, patch(container))
  },
)

test.serial('functions that let tokens in may have to ask about them', async (t) => {
  const path = `/api/v1/namespaces/${broker}/configmaps`
  await admin('POST', path, { metadata: { name: 'osb-configuration' }, data: { AUTHENTICATION: 'both' } })
  const texts = shown(await look())
  t.is(texts.length, routes.length, texts.join('\n'))
  for (const text of texts)
    t.regex(
      text,
      /^broken ServiceAccount osb-[\w-]+ may not create tokenreviews\.authentication\.k8s\.io; create subjectaccessreviews\.authorization\.k8s\.io in the whole cluster → .* knative\/components\/bearer$/,
    )
  await admin('DELETE', `${path}/osb-configuration`)
})

test.serial('a policy that is not in force', async (t) => {
  const bindings = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings'
  const { items } = await admin('GET', bindings)
  const names = v
    .parse(v.array(v.looseObject({ metadata: v.object({ name: v.string() }) })), items)
    .map(({ metadata }) => metadata.name)
  const bound = (start: string) => {
    const found = names.find((name) => name.startsWith(start))
    if (found === undefined) throw new Error(`no policy ${start} is bound`)
    return found
  }
  await admin('DELETE', `${bindings}/${bound('osb-functions')}`)
  const texts = shown(await look())
  t.is(texts.length, routes.length, texts.join('\n'))
  for (const text of texts)
    t.regex(
      text,
      /^doubtful no policy in force bounds what ServiceAccount osb-[\w-]+ writes.*230-admission-policy\.yaml$/,
    )
  await admin('DELETE', `${bindings}/${bound('osb-redises')}`)
  await admin('DELETE', `${bindings}/${bound('osb-redisopsrequests')}`)
  const more = shown(await look())
  t.is(more.length, routes.length + 2, more.join('\n'))
  for (const what of ['Redis', 'RedisOpsRequest'])
    t.regex(
      more.join('\n'),
      new RegExp(`^doubtful no policy in force bounds what functions write into a ${what} → apply`, 'm'),
    )
  await applyRoles(administratorOf(plane), { broker, databases }, [...kinds.values()])
})

test.serial('users and keys that are missing or wrong; no value of them is shown', async (t) => {
  await admin('DELETE', `${secrets}/osb-users`)
  await admin('DELETE', `${secrets}/osb-keys`)
  finds(
    t,
    await look(),
    /^broken there is no Secret osb-users → make/,
    /^broken there is no Secret osb-keys, .*openssl rand/,
  )

  await admin('POST', secrets, usersSecret('[{"username":"u:v","password":"hunter2hunter2"}]'))
  await admin(
    'POST',
    secrets,
    keysSecret({ '2026-01': base64('c2hvcnRzZWNyZXQ='), 'a.b': base64(base64('0123456789abcdef')) }),
  )
  const wrong = await look()
  finds(
    t,
    wrong,
    /^broken the users file users\.json is wrong: 0\.username must not contain a colon/,
    /^broken the key "2026-01" of the Secret osb-keys cannot be used/,
    /^broken the key "a\.b" of the Secret osb-keys cannot be used/,
  )
  t.notRegex(wrong.lines.join('\n'), /hunter2|c2hvcnRzZWNyZXQ|shortsecret/)
  await admin('DELETE', `${secrets}/osb-users`)
  await admin('DELETE', `${secrets}/osb-keys`)
  await admin('POST', secrets, goodUsers)
  await admin('POST', secrets, keysSecret({}))
  finds(t, await look(), /^broken the Secret osb-keys is empty/)
  await admin('DELETE', `${secrets}/osb-keys`)
  await admin('POST', secrets, goodKeys)
})

test.serial('a dashboard that is configured and not there, or not set up', async (t) => {
  const path = `/api/v1/namespaces/${broker}/configmaps`
  const data = { DASHBOARD_URL: 'https://broker.example.com' }
  await admin('POST', path, { metadata: { name: 'osb-configuration' }, data })
  finds(
    t,
    await look(),
    /^broken ServiceAccount osb-dashboard may not get, list appbindings.* in namespace kubedb-service-broker → list knative\/components\/dashboard /,
    /^broken ServiceAccount osb-dashboard may not get .*get postgreses\.kubedb\.com; .*list events in namespace databases → list/,
    /^broken ServiceAccount osb-dashboard is not in namespace kubedb-service-broker → list knative\/components\/dashboard /,
    /^broken there is no Secret osb-dashboard, without which the dashboard does not start → make .*docs\/dashboard\.md/,
    /^broken Deployment osb-dashboard is missing in namespace kubedb-service-broker → list/,
  )

  await applyDashboardRoles(administratorOf(plane), { broker, databases }, [...kinds.values()])
  await admin('POST', deployments, deployment('osb-dashboard'))
  const dashboardSecret = (settings: object, client: object, cookieKey: string) => ({
    metadata: { name: 'osb-dashboard' },
    data: {
      'settings.json': base64(JSON.stringify(settings)),
      'client.json': base64(JSON.stringify(client)),
      'cookie-key': base64(cookieKey),
    },
  })
  const issuer = 'https://login.example.com'
  await admin('POST', secrets, dashboardSecret({ issuer }, { id: 'd', key: 'hunter2hunter2' }, 'c2hvcnQ='))
  const wrong = await look()
  finds(
    t,
    wrong,
    /^broken the Secret osb-dashboard: settings\.json: must have either rules or cloudController/,
    /^broken the Secret osb-dashboard: client\.json: it must be .*secret/,
    /^broken the Secret osb-dashboard: cookie-key: it must be at least 16 bytes/,
  )
  t.notRegex(wrong.lines.join('\n'), /hunter2|c2hvcnQ=/)
  await admin('DELETE', `${secrets}/osb-dashboard`)
  await admin('POST', secrets, { metadata: { name: 'osb-dashboard' }, data: {} })
  finds(
    t,
    await look(),
    ...['settings\\.json', 'client\\.json', 'cookie-key'].map(
      (name) => new RegExp(`^broken the Secret osb-dashboard has no key ${name} → make`),
    ),
  )
  await admin('DELETE', `${secrets}/osb-dashboard`)
  const client = { id: 'd', secret: 'hunter2hunter2' }
  await admin('POST', secrets, dashboardSecret({ issuer, rules: [] }, client, base64('0123456789abcdef')))
  finds(t, await look())

  await admin('DELETE', `${path}/osb-configuration`)
  await admin('DELETE', `${deployments}/osb-dashboard`)
  await admin('DELETE', `${secrets}/osb-dashboard`)
})

const info = v.parse(InstanceInfo, golden('instance-record.v1.json').info)
const postgres = kindOf('Postgres')
const place = databaseOf(postgres, databases, info.instanceId)
const databasesPath = `/apis/kubedb.com/v1/namespaces/${databases}/postgreses`
const done: InstanceOperation = v.parse(InstanceOperation, {
  v: 1,
  type: 'provision',
  id: 'abcdefgh2345',
  state: 'succeeded',
  started: info.created,
})
const record = () => draftInstanceRecord(broker, info, done, place)
const database = () =>
  draftDatabase(postgres, { info, operation: done, database: place, uid: '', resourceVersion: '' })
const recordPath = `${records}/${instanceRecordName(info.instanceId)}`

function bindingRecord(more: JsonObject = {}) {
  const content: JsonObject = { ...golden('binding-record.v1.json'), instanceId: info.instanceId, ...more }
  return {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      name: bindingRecordName(info.instanceId, 'a-binding'),
      labels: { 'osb.kubedb.com/instance': hash26(info.instanceId) },
      annotations: { 'osb.kubedb.com/binding': JSON.stringify(content) },
    },
    spec: { type: 'osb.kubedb.com/binding', clientConfig: {} },
  }
}

test.serial('records that cannot be read, have no database, no instance, no key', async (t) => {
  await admin('POST', databasesPath, database())
  await admin('POST', records, record())
  await admin('POST', records, bindingRecord())
  finds(t, await look())

  const { name } = bindingRecord().metadata
  await admin('DELETE', `${records}/${name}`)
  await admin('POST', records, bindingRecord({ keyId: '2025-07' }))
  finds(
    t,
    await look(),
    /^broken 1 binding has a password from the key "2025-07", which is not in the Secret osb-keys/,
  )
  await admin('DELETE', `${records}/${name}`)
  await admin('POST', records, bindingRecord({ user: "x'; DROP" }))
  finds(t, await look(), /^broken the binding record .* cannot be read: user: .* → restore/)
  await admin('DELETE', `${records}/${name}`)
  await admin('POST', records, bindingRecord())

  await admin(
    'PATCH',
    recordPath,
    { metadata: { annotations: { 'osb.kubedb.com/operation': '{"v":2}' } } },
    merge,
  )
  finds(
    t,
    await look(),
    /^broken the instance record .* cannot be read: annotation osb\.kubedb\.com\/operation/,
  )
  await admin('DELETE', recordPath)
  await admin('POST', records, record())

  await gone(`${databasesPath}/${place.name}`)
  finds(
    t,
    await look(),
    new RegExp(
      `^broken the database of instance ${info.instanceId} is gone: there is no Postgres databases/${place.name} → deprovision`,
    ),
  )

  await admin('DELETE', recordPath)
  finds(t, await look(), /^doubtful binding a-binding is of instance .*, of which there is no record/)
  await admin('DELETE', `${records}/${name}`)
})

test.serial('a database without its record is told of, and --repair makes the record anew', async (t) => {
  await admin('POST', databasesPath, database())
  finds(t, await look(), /^doubtful Postgres databases\/.* has no record: .* it is young/)
  const now = Date.now() + 3_600_000
  finds(
    t,
    await look({ now }),
    new RegExp(`^broken Postgres databases/.* \\(instance ${info.instanceId}\\) → .* --repair`),
  )

  const repaired = await look({ now, repair: true })
  t.deepEqual(repaired.left, [])
  t.true(repaired.lines.some((line) => line.startsWith('repaired  made the record of instance')))
  const { operation, ...found } = parseInstanceRecord(
    v.parse(AppBinding, await admin('GET', recordPath)),
    info.instanceId,
  )
  t.deepEqual(found.info, info)
  t.deepEqual(found.database, place)
  t.like(operation, { type: 'provision', state: 'in progress' })
  finds(t, await look({ now }))
  await admin('DELETE', recordPath)

  const condition = { type: 'Provisioned', status: 'True', lastTransitionTime: '2026-11-21T00:00:00Z' }
  await admin(
    'PATCH',
    `${databasesPath}/${place.name}/status`,
    { status: { conditions: [condition] } },
    merge,
  )
  await look({ now, repair: true })
  t.is(
    parseInstanceRecord(v.parse(AppBinding, await admin('GET', recordPath)), info.instanceId).operation.state,
    'succeeded',
  )
  await admin('DELETE', recordPath)

  // Whoever owns the namespace can write another instance's id there.
  const forged = JSON.stringify({ ...info, instanceId: 'of-somebody-else' })
  await admin(
    'PATCH',
    `${databasesPath}/${place.name}`,
    { metadata: { annotations: { 'osb.kubedb.com/instance': forged } } },
    merge,
  )
  finds(
    t,
    await look({ now, repair: true }),
    /^broken .* cannot be used: it is about instance of-somebody-else, which has another name/,
  )
  await gone(`${databasesPath}/${place.name}`)
})

test.serial('functions and the way to them that are missing', async (t) => {
  await admin('DELETE', `${deployments}/osb-${edgeRouter}`)
  finds(
    t,
    await look(),
    /^broken nothing in namespace kubedb-service-broker leads from outside .* → apply one of knative\/overlays/,
  )
  await admin('POST', deployments, deployment(`osb-${edgeRouter}`))
  await admin('DELETE', `${deployments}/osb-bind`)
  finds(t, await look(), /^broken Knative Serving is not in this cluster/)

  if (!existsSync(upstream)) {
    t.log(`skipped: Knative Services and HTTPRoutes, for want of ${upstream}`)
    await admin('POST', deployments, deployment('osb-bind'))
    return
  }
  for (const file of [
    'knative/services.serving.knative.dev',
    'gateway-api/httproutes.gateway.networking.k8s.io',
  ]) {
    const crd = objectIn(await readFile(join(upstream, `${file}.json`), 'utf8'))
    await admin('POST', crds, crd)
  }
  const knative = `/apis/serving.knative.dev/v1/namespaces/${broker}/services`
  const httpRoutes = `/apis/gateway.networking.k8s.io/v1/namespaces/${broker}/httproutes`
  for (const path of [knative, httpRoutes]) {
    for (let tries = 0; (await ask(plane, 'GET', path)).status !== 200; tries++) {
      if (tries === 200) throw new Error(`${path} is not served`)
      await delay(100)
    }
  }
  for (const service of knativeServices({ broker, databases })) await admin('POST', knative, service)
  finds(t, await look())
  await admin('DELETE', `${knative}/osb-unbind`)
  const notReady = { conditions: [{ type: 'Ready', status: 'False', message: 'Unable to fetch image' }] }
  await admin('PATCH', `${knative}/osb-bind/status`, { status: notReady }, merge)
  finds(
    t,
    await look(),
    /^broken Knative Services are missing in namespace kubedb-service-broker: osb-unbind →/,
    /^broken Knative Service osb-bind is not ready: Unable to fetch image →/,
  )
  await admin('DELETE', `${knative}/osb-bind`)
  for (const service of knativeServices({ broker, databases })) await ask(plane, 'POST', knative, service)

  await admin('DELETE', `${deployments}/osb-${edgeRouter}`)
  const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }
  const parentRef = { name: 'public' }
  await admin('POST', httpRoutes, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'osb', labels },
    spec: { parentRefs: [parentRef] },
  })
  finds(t, await look())
  const refusedBy = {
    parentRef,
    controllerName: 'example.com/gateway',
    conditions: [
      {
        type: 'Accepted',
        status: 'False',
        reason: 'NoMatchingParent',
        message: 'no such listener',
        lastTransitionTime: '2026-11-21T00:00:00Z',
      },
    ],
  }
  await admin('PATCH', `${httpRoutes}/osb/status`, { status: { parents: [refusedBy] } }, merge)
  finds(t, await look(), /^broken HTTPRoute osb is refused by its gateway: Accepted: no such listener/)
  await admin('DELETE', `${httpRoutes}/osb`)
  await admin('POST', deployments, deployment(`osb-${edgeRouter}`))
})

test.serial('whoever may not look is told so, and nothing counts as in order', async (t) => {
  const token = await mintToken(plane, broker, 'osb-catalog', 3600)
  const as: Ask = async (method, path, body) => {
    const answer = await ask({ ...plane, adminToken: token }, method, path, body)
    return { status: answer.status, body: parsed(answer.body) }
  }
  const { lines, left } = await look({ as })
  t.true(left.length >= 8)
  t.true(left.every(({ severity }) => severity === 'doubtful'))
  t.true(left.every(({ problem }) => /^not looked at, whether .*forbidden/.test(problem)))
  t.true(lines.filter((line) => line.startsWith('ok')).length <= 2)
})

test.serial(
  'the command takes the catalog from the cluster and says by its exit code how things are',
  async (t) => {
    const command = join(sharedCluster().functionsDirectory, 'doctor/index.js')
    const run = (kubeconfig: string, ...args: string[]) =>
      new Promise<{ code: unknown; text: string }>((resolve) => {
        execFile(
          process.execPath,
          [command, ...args],
          { env: { ...process.env, KUBECONFIG: kubeconfig }, timeout: 60_000 },
          (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }),
        )
      })
    const well = await run(plane.kubeconfigFile)
    t.is(well.code, 0, well.text)
    t.regex(well.text, /0 broken, 0 doubtful/)
    await admin('DELETE', `${secrets}/osb-users`)
    const ill = await run(plane.kubeconfigFile)
    t.is(ill.code, 1, ill.text)
    t.regex(ill.text, /broken {4}there is no Secret osb-users\n {10}→ make the Secret/)
    await admin('POST', secrets, goodUsers)

    const elsewhere = await run(plane.kubeconfigFile, '--namespace', 'default')
    t.is(elsewhere.code, 2)
    t.regex(elsewhere.text, /no ConfigMap osb-catalog .* in namespace default.* --catalog/)
    const nowhere = await run(join(directory, 'none'))
    t.is(nowhere.code, 2)
    t.regex(nowhere.text, /the kubeconfig cannot be read: .*KUBECONFIG names the file/)
  },
)

test.serial('a policy about issuers that is not there', async (t) => {
  const api = '/apis/admissionregistration.k8s.io/v1'
  for (const plural of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies'])
    await admin('DELETE', `${api}/${plural}/osb-issuers.${broker}`)
  // The API server sees it a moment later.
  await delay(3000)
  finds(
    t,
    await look(),
    /^broken the policy about issuers of certificates is not in force: functions may use any issuer → apply .*230-admission-policy\.yaml/,
  )
  await applyRoles(administratorOf(plane), { broker, databases }, [...kinds.values()])
})
