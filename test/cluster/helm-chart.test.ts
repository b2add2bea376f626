/** The chart, rendered and installed by Helm itself; what it renders is held against kustomize and the generator. */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import test from 'ava'
import { parseAllDocuments, stringify } from 'yaml'
import { gatewayKinds } from '../../generate/chart/values.ts'
import { knativeFiles, localGateways } from '../../generate/knative.ts'
import { defaultNamespaces, rbacFiles } from '../../generate/rbac.ts'
import { ConfigurationError, loadConfig } from '../../shared/environment/config.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { keysIn } from '../../shared/kubedb/records/keys.ts'
import { readUsers } from '../../shared/osb/authentication/users.ts'
import { routes } from '../../shared/routes.ts'
import { isObject, type JsonObject } from '../../shared/values/json.ts'
import { at, textAt, useCluster } from '../support/cluster.ts'
import { installDefinitions, noDefinitions } from '../support/definitions.ts'
import { helmFile, kubectlFile, type Program, programAt } from '../support/go-programs.ts'

const root = join(import.meta.dirname, '../..')
const chart = join(root, 'knative/chart')
const { broker, databases } = defaultNamespaces
const cluster = useCluster(test)

let helm: Program
let kubectl: Program
let folder: string
let environment: NodeJS.ProcessEnv

test.before('Helm and kubectl', async (t) => {
  // Both are built at their first use.
  t.timeout(20 * 60_000)
  folder = await mkdtemp(join(tmpdir(), 'helm-chart-'))
  const home = (name: string) => join(folder, name)
  // Where the docs say `helm` and `kubectl`, these are meant.
  await mkdir(home('bin'))
  await symlink(await helmFile(console.error), home('bin/helm'))
  await symlink(await kubectlFile(console.error), home('bin/kubectl'))
  environment = {
    KUBECONFIG: cluster.kubeconfigFile,
    HELM_CACHE_HOME: home('cache'),
    HELM_CONFIG_HOME: home('config'),
    HELM_DATA_HOME: home('data'),
    PATH: `${home('bin')}:${process.env.PATH}`,
  }
  helm = programAt(home('bin/helm'), environment)
  kubectl = programAt(home('bin/kubectl'), environment)
})

test.before('what the gateways bring', async () => {
  await installDefinitions(cluster)
  for (const name of ['kourier-system', 'contour-internal'])
    await cluster.admin('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    })
})

test.after.always('remove the folder', async () => {
  if (folder) await rm(folder, { recursive: true, force: true })
})

interface Values {
  [name: string]: unknown
}

/** @returns arguments of Helm for a values file with these values */
async function withValues(values: Values): Promise<string[]> {
  const file = join(await mkdtemp(join(folder, 'values-')), 'values.yaml')
  await writeFile(file, stringify(values))
  return ['--values', file]
}

async function rendered(values: Values, namespace: string = broker): Promise<JsonObject[]> {
  const { code, out, error } = await helm([
    ...['template', 'broker', chart, '--namespace', namespace],
    ...(await withValues(values)),
  ])
  if (code !== 0) throw new Error(error)
  return objectsIn(out)
}

/** @returns what Helm says when it refuses the values */
async function refusal(values: Values, namespace: string = broker): Promise<string> {
  const { code, error } = await helm([
    ...['template', 'broker', chart, '--namespace', namespace],
    ...(await withValues(values)),
  ])
  return code === 0 ? '' : error
}

/** Renders an overlay as somebody would write it over one of the folders in knative/, and the namespaces with it. */
async function kustomized(base: string, overlay: object = {}): Promise<JsonObject[]> {
  const directory = await mkdtemp(join(folder, 'overlay-'))
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: ['namespaces', base].map((part) => relative(directory, join(root, 'knative', part))),
    images: [{ name: 'kubedb-service-broker', newTag: version }],
    ...overlay,
  }
  await writeFile(join(directory, 'kustomization.yaml'), stringify(kustomization))
  const { code, out, error } = await kubectl(['kustomize', directory])
  if (code !== 0) throw new Error(error)
  return objectsIn(out)
}

function objectsIn(yaml: string): JsonObject[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    const object: unknown = document.toJS()
    if (object === null) return []
    if (!isObject(object)) throw new Error(`not an object: ${yaml.slice(0, 200)}`)
    return [object as JsonObject]
  })
}

const idOf = (object: JsonObject) =>
  [
    object.apiVersion,
    object.kind,
    at(object, 'metadata', 'namespace') ?? '',
    at(object, 'metadata', 'name'),
  ].join(' ')

/** @returns the objects by what they are; two of one name are a mistake */
function byId(objects: readonly JsonObject[]): { [id: string]: JsonObject } {
  const ids = objects.map(idOf)
  const twice = ids.filter((id, index) => ids.indexOf(id) !== index)
  if (twice.length > 0) throw new Error(`more than one: ${twice.join(', ')}`)
  return Object.fromEntries(objects.map((object) => [idOf(object), object]))
}

/** What is only in the chart: its Secrets, what keeps objects at an uninstallation, and what tells a revision apart. */
function comparable(objects: readonly JsonObject[]): { [id: string]: JsonObject } {
  const text = JSON.stringify(objects.filter((object) => object.kind !== 'Secret'))
  return byId(
    JSON.parse(text, (key, value) => {
      if (!isObject(value)) return value
      const left = Object.entries(value).filter(
        ([name]) => name !== 'helm.sh/resource-policy' && name !== 'osb.kubedb.com/configuration',
      )
      return key === 'annotations' && left.length === 0 ? undefined : Object.fromEntries(left)
    }),
  )
}

/** The namespace of the release is made by `--create-namespace`. */
function withoutNamespace(objects: readonly JsonObject[], name = broker): { [id: string]: JsonObject } {
  return byId(objects.filter((object) => idOf(object) !== `v1 Namespace  ${name}`))
}

const folders: { readonly [K in (typeof gatewayKinds)[number]]: string } = {
  'gateway-api': 'overlays/gateway-api',
  istio: 'overlays/istio',
  contour: 'overlays/contour',
  'edge-router': 'overlays/edge-router',
  plain: 'plain',
}

for (const kind of gatewayKinds) {
  test(`${kind}: the chart renders what kustomize renders`, async (t) => {
    const objects = await rendered({ gateway: { kind } })
    t.deepEqual(comparable(objects), withoutNamespace(await kustomized(folders[kind])))
    const secrets = objects.filter((object) => object.kind === 'Secret')
    t.deepEqual(
      secrets.map((object) => at(object, 'metadata', 'name')),
      ['osb-users', 'osb-keys'],
    )
  })
}

for (const kind of gatewayKinds) {
  test(`${kind}: with a dashboard the chart renders what kustomize renders with its component`, async (t) => {
    const url = 'https://broker.example.com'
    const objects = await rendered({ gateway: { kind }, configuration: { DASHBOARD_URL: url } })
    const component = join(root, 'knative/components', kind === 'plain' ? 'dashboard-plain' : 'dashboard')
    const wanted = await kustomized(folders[kind], {
      components: [relative(join(folder, 'overlay'), component)],
      configMapGenerator: [{ ...configuration, literals: [`DASHBOARD_URL=${url}`] }],
    })
    t.deepEqual(comparable(objects), withoutNamespace(wanted))
    const text = JSON.stringify(objects)
    t.true(text.includes('osb-dashboard'))
    if (kind in localGateways) t.is(text.match(/osb-dashboard\.kubedb-service-broker\.svc/g)?.length, 3)
  })
}

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
const resources = { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } }
const replace = (path: string, value: unknown) => ({ op: 'replace', path, value })
const add = (path: string, value: unknown) => ({ op: 'add', path, value })
const patch = (target: object, ...operations: object[]) => ({ target, patch: stringify(operations) })
const functions = {
  group: 'serving.knative.dev',
  kind: 'Service',
  name: `osb-(${routes.map((route) => route.function).join('|')})`,
}
const pod = '/spec/template/spec'

const configuration = {
  name: 'osb-configuration',
  namespace: broker,
  literals: [
    'LOG_LEVEL=debug',
    'RETRY_AFTER=9',
    'ENDPOINTS=true',
    'OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4318',
  ],
  options: { disableNameSuffixHash: true },
}

test('the choices of an installation come out as those of an overlay', async (t) => {
  const objects = await rendered({
    image: { repository: 'registry.example.com/osb', digest },
    imagePullSecrets: [{ name: 'registry' }],
    gateway: {
      host: 'osb.example.org',
      name: 'front',
      namespace: 'edge',
      local: { name: 'mesh', namespace: 'contour-internal' },
    },
    authentication: 'both',
    users: { existingSecret: 'my-users' },
    keys: { existingSecret: 'my-keys' },
    configuration: {
      LOG_LEVEL: 'debug',
      RETRY_AFTER: 9,
      ENDPOINTS: true,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318',
    },
    scale: { min: { catalog: 1 }, max: 3, concurrency: 20 },
    resources,
  })
  const overlay = await kustomized('overlays/gateway-api', {
    components: [relative(join(folder, 'any'), join(root, 'knative/components/bearer'))],
    images: [{ name: 'kubedb-service-broker', newName: 'registry.example.com/osb', digest }],
    configMapGenerator: [configuration],
    patches: [
      patch(
        { kind: 'HTTPRoute', name: 'osb' },
        replace('/spec/hostnames/0', 'osb.example.org'),
        replace('/spec/parentRefs/0', { name: 'front', namespace: 'edge' }),
        ...routes.map((_, index) =>
          replace(`/spec/rules/${index}/backendRefs/0`, {
            name: 'mesh',
            namespace: 'contour-internal',
            port: 80,
          }),
        ),
      ),
      patch(
        { kind: 'ReferenceGrant', name: 'osb' },
        replace('/metadata/namespace', 'contour-internal'),
        replace('/spec/to/0/name', 'mesh'),
      ),
      patch(
        functions,
        replace('/spec/template/metadata/annotations/autoscaling.knative.dev~1max-scale', '3'),
        replace(`${pod}/containerConcurrency`, 20),
        replace(`${pod}/containers/0/resources`, resources),
        replace(`${pod}/volumes/0/secret/secretName`, 'my-users'),
        add(`${pod}/imagePullSecrets`, [{ name: 'registry' }]),
      ),
      patch(
        { ...functions, name: 'osb-catalog' },
        add('/spec/template/metadata/annotations/autoscaling.knative.dev~1min-scale', '1'),
      ),
      ...routes.flatMap(({ function: name, mounts }) => {
        const index = ['users', ...mounts].indexOf('keys')
        return index < 0
          ? []
          : [
              patch(
                { ...functions, name: `osb-${name}` },
                replace(`${pod}/volumes/${index}/secret/secretName`, 'my-keys'),
              ),
            ]
      }),
    ],
  })
  t.deepEqual(comparable(objects), withoutNamespace(overlay))
  t.true(overlay.some((object) => at(object, 'metadata', 'name') === 'osb-platform'))
})

test('databases in the namespaces that platforms name: each has its roles and its network policy', async (t) => {
  const names = ['team-a', 'team-b']
  const objects = await rendered({ databases: { policy: 'context', namespaces: names } })
  const [fixed, ...teams] = await Promise.all(
    [databases, ...names].map(async (name) =>
      Object.values(rbacFiles([...kinds.values()], { broker, databases: name }))
        .concat(Object.values(knativeFiles({ broker, databases: name })))
        .flatMap(objectsIn)
        .filter((object) => idOf(object).includes(` ${name}`)),
    ),
  )
  const base = byId(
    await kustomized('overlays/gateway-api', {
      patches: [
        patch(
          functions,
          { op: 'remove', path: `${pod}/containers/0/env/1` },
          add(`${pod}/containers/0/env/-`, { name: 'NAMESPACE_POLICY', value: 'context' }),
        ),
      ],
    }),
  )
  for (const object of fixed ?? []) delete base[idOf(object)]
  const wanted = { ...withoutNamespace(Object.values(base)), ...byId(teams.flat()) }
  t.is(teams.length, 2)
  t.true(teams.every((one) => one.length > 15))
  t.deepEqual(comparable(objects), wanted)
})

test('a second broker is in other namespaces, under other names where it has no namespace', async (t) => {
  const names = { broker: 'staging-broker', databases: 'staging-databases' }
  const objects = await rendered(
    { databases: { namespaces: [names.databases] }, nameSuffix: '.staging' },
    names.broker,
  )
  const files = { ...rbacFiles([...kinds.values()], names), ...knativeFiles(names) }
  const others = /components|plain|istio|contour|edge-router/
  const wanted = Object.entries(files).flatMap(([path, yaml]) => (others.test(path) ? [] : objectsIn(yaml)))
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const text = JSON.stringify(wanted).replaceAll(
    '"image":"kubedb-service-broker"',
    `"image":"kubedb-service-broker:${version}"`,
  )
  const shared: JsonObject[] = JSON.parse(text)
  const suffixed = /ClusterRole|ValidatingAdmissionPolicy|HTTPRoute|ReferenceGrant/
  for (const object of shared.filter(({ kind }) => suffixed.test(String(kind)))) {
    if (isObject(object.metadata)) object.metadata.name += '.staging'
    if (isObject(object.roleRef)) object.roleRef.name += '.staging'
    if (isObject(object.spec) && 'policyName' in object.spec) object.spec.policyName += '.staging'
  }
  const found = comparable(objects)
  const catalog = `v1 ConfigMap ${names.broker} osb-catalog`
  t.true(catalog in found)
  delete found[catalog]
  t.deepEqual(found, withoutNamespace(shared, names.broker))
  t.false(JSON.stringify(objects).includes(`"namespace":"${broker}"`))
})

test('the chart passes the strict lint, whatever leads to it', async (t) => {
  const files = await Promise.all(gatewayKinds.map((kind) => withValues({ gateway: { kind } })))
  for (const values of [[], ...files]) {
    const { code, out, error } = await helm(['lint', '--strict', chart, ...values])
    t.is(code, 0, `${values}: ${out}${error}`)
  }
})

test('a catalog of ones own is mounted as it is, without the rendering of another', async (t) => {
  const catalog = '# mine\nv: 1\nservices: [] # "<&>"\n'
  const objects = byId(await rendered({ catalog }))
  t.deepEqual(objects[`v1 ConfigMap ${broker} osb-catalog`]?.data, { 'catalog.yaml': catalog })
})

test('only a change of the configuration makes new revisions', async (t) => {
  const templates = async (values: Values) =>
    (await rendered(values))
      .filter((object) => object.apiVersion === 'serving.knative.dev/v1')
      .map((object) => at(object, 'spec', 'template'))
  const before = await templates({ configuration: { LOG_LEVEL: 'warn' } })
  t.is(before.length, routes.length)
  t.deepEqual(
    await templates({ configuration: { LOG_LEVEL: 'warn' }, gateway: { host: 'b.example.com' } }),
    before,
  )
  const after = await templates({ configuration: { LOG_LEVEL: 'error' } })
  for (const [index, one] of after.entries()) t.notDeepEqual(one, before[index])
})

test('a change of the configuration reaches the edge router too', async (t) => {
  for (const kind of ['edge-router', 'plain'] as const) {
    const templateOf = async (level: string) => {
      const objects = await rendered({ gateway: { kind }, configuration: { LOG_LEVEL: level } })
      const template = objects
        .filter((object) => at(object, 'metadata', 'name') === 'osb-edge-router')
        .map((object) => at(object, 'spec', 'template'))
        .find((one) => one !== undefined)
      t.is(at(template, 'spec', 'containers', 0, 'envFrom', 0, 'configMapRef', 'name'), 'osb-configuration')
      return template
    }
    const before = await templateOf('warn')
    t.deepEqual(await templateOf('warn'), before)
    t.notDeepEqual(await templateOf('error'), before)
  }
})

const wrong: readonly { values: Values; namespace?: string; says: RegExp }[] = [
  {
    values: { gateway: { kind: 'nginx' } },
    says: /'\/gateway\/kind': value must be one of 'gateway-api', 'istio'/,
  },
  {
    values: { gateway: { host: 'https://b.example.com' } },
    says: /'\/gateway\/host': .*does not match pattern/,
  },
  {
    values: { configuration: { LOG_LEVL: 'info' } },
    says: /'\/configuration': additional properties 'LOG_LEVL' not allowed/,
  },
  { values: { replicas: 3 }, says: /additional properties 'replicas' not allowed/ },
  {
    values: { scale: { min: { everything: 1 } } },
    says: /'\/scale\/min': additional properties 'everything'/,
  },
  { values: { scale: { max: 0 } }, says: /'\/scale\/max': minimum: got 0, want 1/ },
  {
    values: { users: { generated: [{ platform: 'cf' }] } },
    says: /'\/users\/generated\/0': missing property 'username'/,
  },
  { values: { image: { digest: 'latest' } }, says: /'\/image\/digest'/ },
  { values: { databases: { namespaces: null } }, says: /'\/databases': missing property 'namespaces'/ },
  {
    values: { databases: { namespaces: ['a', 'b'] } },
    says: /databases\.namespaces is \[a b\]: must be one namespace; databases\.policy=context takes more/,
  },
  {
    values: { databases: { policy: 'context', namespaces: ['a', 'kubedb'] } },
    says: /databases\.namespaces is kubedb: must not be a namespace of Kubernetes, KubeDB, Knative/,
  },
  {
    values: {},
    namespace: databases,
    says: /databases\.namespaces is databases: must not be the broker's own namespace/,
  },
]

test('wrong values are refused, with a sentence that names them', async (t) => {
  for (const { values, namespace, says } of wrong)
    t.regex(await refusal(values, namespace), says, JSON.stringify(values))
})

test('a configuration is refused if and only if the functions would refuse it', async (t) => {
  const configurations: { [name: string]: string | number | boolean }[] = [
    { LOG_LEVEL: 'loud' },
    { LOG_LEVEL: 'debug', UPDATE_PARAMETERS: 'merge', METADATA_PREFIXES: 'example.com,example.org/x' },
    { RETRY_AFTER: 0 },
    { RETRY_AFTER: 3600, ENDPOINTS: true, FINISHED_DELETE: 200 },
    { FINISHED_DELETE: 404 },
    { ENDPOINTS: 'maybe' },
    { ADDRESSES: 'outside' },
    { ADDRESSES: 'external' },
    { NODE_HOST: 'node.example.com' },
    { ADDRESSES: 'external', NODE_HOST: 'node.example.com' },
    { ADDRESSES: 'external', NODE_HOST: 'http://node.example.com' },
    { REQUEST_BUDGET: 130 },
    { REQUEST_BUDGET: 130, ABANDONED_AFTER: 240 },
    { ABANDONED_AFTER: 45 },
    { DASHBOARD_URL: 'https://broker.example.com:8443' },
    { DASHBOARD_URL: 'broker.example.com' },
  ]
  let refused = 0
  for (const one of configurations) {
    const texts = Object.fromEntries(Object.entries(one).map(([name, value]) => [name, String(value)]))
    const mistakes = mistakesOf({ BROKER_NAMESPACE: broker, DATABASE_NAMESPACE: databases, ...texts })
    const said = await refusal({ configuration: one })
    t.is(said === '', mistakes.length === 0, `${JSON.stringify(one)}: ${said}`)
    for (const mistake of mistakes) t.true(said.includes(mistake.split(' ')[0] ?? '?'), said)
    refused += mistakes.length
  }
  t.is(refused, 10)
})

function mistakesOf(env: NodeJS.ProcessEnv): string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigurationError) return error.mistakes
    throw error
  }
}

test.serial('installed, upgraded and taken away: keys and passwords stay as they are', async (t) => {
  if (noDefinitions !== undefined) t.log(`only the kind plain is installed: ${noDefinitions}`)
  const own = {
    broker: `${cluster.namespaces.broker}-helm`,
    databases: `${cluster.namespaces.databases}-helm`,
  }
  const mine = { databases: { namespaces: [own.databases] }, nameSuffix: `.${own.broker}` }
  t.teardown(async () => {
    await helm(['uninstall', 'broker', '--namespace', own.broker])
    for (const name of Object.values(own)) await cluster.admin('DELETE', `/api/v1/namespaces/${name}`)
  })
  // Its name is claimed in the whole cluster.
  const host = `${own.broker}.example.com`
  const release = async (verb: 'install' | 'upgrade', values: Values) => {
    const flags = verb === 'install' ? ['--create-namespace'] : []
    const file = await withValues({ ...mine, ...values })
    const done = await helm([verb, 'broker', chart, '--namespace', own.broker, ...flags, ...file])
    t.is(done.code, 0, done.error)
    return done.out
  }
  const secret = async (name: string) => {
    const { status, body } = await cluster.admin('GET', `/api/v1/namespaces/${own.broker}/secrets/${name}`)
    t.is(status, 200, name)
    const data = at(body, 'data')
    if (!isObject(data)) throw new Error(`${name} is empty`)
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(String(value), 'base64').toString()]),
    )
  }
  const routesThere = async () => {
    const paths = {
      'gateway-api': `gateway.networking.k8s.io/v1/namespaces/${own.broker}/httproutes/osb.${own.broker}`,
      istio: `networking.istio.io/v1/namespaces/${own.broker}/virtualservices/osb.${own.broker}`,
      contour: `projectcontour.io/v1/namespaces/contour-internal/httpproxies/osb.${own.broker}`,
      'edge-router': `serving.knative.dev/v1/namespaces/${own.broker}/services/osb-edge-router`,
      plain: `apps/v1/namespaces/${own.broker}/deployments/osb-edge-router`,
    }
    const there = await Promise.all(
      gatewayKinds.map(async (kind) =>
        (await cluster.admin('GET', `/apis/${paths[kind]}`)).status === 200 ? [kind] : [],
      ),
    )
    return there.flat()
  }

  const installable = noDefinitions === undefined ? gatewayKinds : (['plain'] as const)
  const [first, ...others] = installable
  const notes = await release('install', { gateway: { kind: first, host } })
  t.true(notes.includes(`kubectl get secret osb-users -n ${own.broker}`), notes)
  if (first === 'gateway-api') t.true(notes.includes(`The broker is at https://${host} `), notes)
  t.deepEqual(await routesThere(), [first])

  // What was made is what the functions read.
  const [users, keys] = [await secret('osb-users'), await secret('osb-keys')]
  const list = users['users.json'] ?? ''
  t.deepEqual(
    readUsers(list, 'users.json', { passwords: true }).passwords.map(({ caller }) => caller),
    [{ name: 'platform', platform: 'default' }],
  )
  t.regex(textAt(JSON.parse(list), 0, 'password'), /^[A-Za-z0-9]{32}$/)
  const directory = join(folder, 'keys')
  await mkdir(directory)
  for (const [name, key] of Object.entries(keys)) await writeFile(join(directory, name), key)
  t.regex(await keysIn(directory).newest(), /^\d{4}-\d\d-\d\d$/)

  for (const kind of others) {
    await release('upgrade', { gateway: { kind, host } })
    t.deepEqual(await routesThere(), [kind], 'the gateway of before is gone')
    t.deepEqual([await secret('osb-users'), await secret('osb-keys')], [users, keys])
  }

  // A second key, put there by hand, and a second platform.
  const patched = await kubectl([
    ...['patch', 'secret', 'osb-keys', '--namespace', own.broker],
    ...['--patch', JSON.stringify({ stringData: { '2099-01-01': 'c2Vjb25kLWtleS1vZi0yNC1ieXRlcw==' } })],
  ])
  t.is(patched.code, 0, patched.error)
  const generated = [{ username: 'platform' }, { username: 'cf', platform: 'cloud-foundry' }]
  await release('upgrade', { gateway: { kind: 'plain' }, users: { generated } })
  const more = await secret('osb-users')
  t.deepEqual(await secret('osb-keys'), { ...keys, '2099-01-01': 'c2Vjb25kLWtleS1vZi0yNC1ieXRlcw==' })
  const [kept, added] = JSON.parse(more['users.json'] ?? '')
  t.deepEqual([kept], JSON.parse(list))
  t.like(added, { username: 'cf', platform: 'cloud-foundry' })
  t.not(added.password, kept.password)

  const gone = await helm(['uninstall', 'broker', '--namespace', own.broker])
  t.is(gone.code, 0, gone.error)
  t.deepEqual(await routesThere(), [])
  const accounts = await cluster.admin('GET', `/api/v1/namespaces/${own.broker}/serviceaccounts/osb-bind`)
  t.is(accounts.status, 404)
  t.is((await cluster.admin('GET', `/api/v1/namespaces/${own.databases}`)).status, 200)
  t.deepEqual(await secret('osb-users'), more)

  await release('install', { gateway: { kind: 'plain' } })
  t.deepEqual(await secret('osb-users'), more, 'who was registered can go on')
  t.is(Object.keys(await secret('osb-keys')).length, 2)
})

test.serial('the page tells commands that work as they stand there', async (t) => {
  const page = await readFile(join(root, 'docs/installing.md'), 'utf8')
  const [, section = ''] = page.split('## With Helm')
  const block = (language: string) =>
    new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(section)?.[1] ?? ''
  const own = {
    broker: `${cluster.namespaces.broker}-page`,
    databases: `${cluster.namespaces.databases}-page`,
  }
  const directory = join(folder, 'page')
  await mkdir(directory)
  await symlink(join(root, 'knative'), join(directory, 'knative'))
  // Beside other tests: under names of its own, and where no definitions are, without a gateway.
  const values = stringify({ databases: { namespaces: [own.databases] }, nameSuffix: `.${own.broker}` })
  const kind = noDefinitions === undefined ? '$&' : 'kind: plain'
  await writeFile(
    join(directory, 'values.yaml'),
    `${block('yaml').replace(/kind: gateway-api/, kind)}${values}`,
  )
  const commands = block('sh').replaceAll(/(--namespace|-n) \S+/g, `$1 ${own.broker}`)
  t.is(commands.match(/^helm /gm)?.length, 4)
  t.teardown(async () => {
    for (const name of Object.values(own)) await cluster.admin('DELETE', `/api/v1/namespaces/${name}`)
  })
  const bash = programAt('/bin/bash', environment)
  const { code, out, error } = await bash(['-c', `set -euo pipefail; cd ${directory}\n${commands}`])
  t.is(code, 0, error)
  t.regex(out, /\[\{"password":"\w{32}","username":"platform"\}\]/)
  t.regex(await readFile(join(directory, 'osb-keys.yaml'), 'utf8'), /name: osb-keys/)
})
