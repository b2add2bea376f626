import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { ConfigurationError, fromConfig, loadConfig, variables } from '../../shared/environment/config.ts'
import { folder } from './function-process.ts'

const least = { BROKER_NAMESPACE: 'broker', DATABASE_NAMESPACE: 'databases' }

test('two namespaces are enough, the rest has defaults', (t) => {
  t.deepEqual(loadConfig(least), {
    port: 8080,
    brokerNamespace: 'broker',
    namespaces: { policy: 'fixed', namespace: 'databases' },
    catalogFile: '/etc/broker/catalog/catalog.yaml',
    usersFile: '/etc/broker/users/users.json',
    authentication: { basic: true, bearer: false, audience: undefined },
    keysDirectory: '/etc/broker/keys',
    databases: { addresses: 'cluster' },
    updateParameters: 'context',
    finishedDelete: 410,
    endpoints: false,
    metadataPrefixes: [],
    retryAfter: 5,
    dashboard: { url: undefined, directory: '/etc/broker/dashboard' },
    logLevel: 'info',
    requestBudget: 45,
    abandonedAfter: 120,
    apiServer: { host: 'kubernetes.default.svc', port: 443 },
    serviceAccountDirectory: '/var/run/secrets/kubernetes.io/serviceaccount',
  })
})

test('an audience without bearer tokens is a mistake', (t) => {
  t.deepEqual(loadConfig({ ...least, AUTHENTICATION: 'bearer' }).authentication, {
    basic: false,
    bearer: true,
    audience: undefined,
  })
  t.throws(() => loadConfig({ ...least, TOKEN_AUDIENCE: 'broker' }), {
    instanceOf: ConfigurationError,
    message: /^TOKEN_AUDIENCE is "broker": must be left out with AUTHENTICATION=basic/,
  })
})

test('every variable is read', (t) => {
  const config = loadConfig({
    ...least,
    PORT: '8081',
    NAMESPACE_POLICY: 'context',
    CATALOG_FILE: '/a',
    USERS_FILE: '/b',
    AUTHENTICATION: 'both',
    TOKEN_AUDIENCE: 'broker',
    KEYS_DIRECTORY: '/c',
    ADDRESSES: 'external',
    NODE_HOST: 'nodes.example.com',
    UPDATE_PARAMETERS: 'merge',
    FINISHED_DELETE: '200',
    ENDPOINTS: 'true',
    METADATA_PREFIXES: 'example.com/, team.example.org/a-',
    RETRY_AFTER: '7',
    DASHBOARD_URL: 'https://broker.example.com:8443/',
    DASHBOARD_DIRECTORY: '/e',
    LOG_LEVEL: 'debug',
    REQUEST_BUDGET: '30',
    ABANDONED_AFTER: '60',
    KUBERNETES_SERVICE_HOST: '10.0.0.1',
    KUBERNETES_SERVICE_PORT: '6443',
    SERVICE_ACCOUNT_DIRECTORY: '/d',
  })
  t.deepEqual(config, {
    port: 8081,
    brokerNamespace: 'broker',
    namespaces: { policy: 'context' },
    catalogFile: '/a',
    usersFile: '/b',
    authentication: { basic: true, bearer: true, audience: 'broker' },
    keysDirectory: '/c',
    databases: { addresses: 'external', nodeHost: 'nodes.example.com' },
    updateParameters: 'merge',
    finishedDelete: 200,
    endpoints: true,
    metadataPrefixes: ['example.com', 'team.example.org/a-'],
    retryAfter: 7,
    dashboard: { url: 'https://broker.example.com:8443', directory: '/e' },
    logLevel: 'debug',
    requestBudget: 30,
    abandonedAfter: 60,
    apiServer: { host: '10.0.0.1', port: 6443 },
    serviceAccountDirectory: '/d',
  })
})

test('all mistakes are listed at once, each with variable, value and cure', (t) => {
  const error = t.throws(
    () => loadConfig({ ...least, PORT: 'http', ENDPOINTS: 'yes', USERS_FILE: 'users.json' }),
    {
      instanceOf: ConfigurationError,
    },
  )
  t.deepEqual(error?.mistakes, [
    'PORT is "http": must be a whole number from 1 to 65535',
    'USERS_FILE is "users.json": must be an absolute path',
    'ENDPOINTS is "yes": must be true or false',
  ])
})

const wrong: [name: string, value: string][] = [
  ['PORT', '0'],
  ['PORT', '65536'],
  ['PORT', '8080 '],
  ['PORT', '1e3'],
  ['BROKER_NAMESPACE', 'Broker'],
  ['NAMESPACE_POLICY', 'any'],
  ['DATABASE_NAMESPACE', 'a b'],
  ['DATABASE_NAMESPACE', 'kube-system'],
  ['DATABASE_NAMESPACE', 'kubedb'],
  ['DATABASE_NAMESPACE', 'knative-serving'],
  ['DATABASE_NAMESPACE', 'broker'],
  ['ADDRESSES', 'internal'],
  ['UPDATE_PARAMETERS', 'patch'],
  ['FINISHED_DELETE', '404'],
  ['METADATA_PREFIXES', 'Example.com'],
  ['METADATA_PREFIXES', 'example.com,,kubedb.com'],
  ['METADATA_PREFIXES', 'osb.kubedb.com'],
  ['METADATA_PREFIXES', 'example.com/a/b'],
  ['RETRY_AFTER', '0'],
  ['DASHBOARD_URL', 'broker.example.com'],
  ['DASHBOARD_URL', 'https://broker.example.com/dashboard'],
  ['DASHBOARD_URL', 'https://user@broker.example.com'],
  ['DASHBOARD_DIRECTORY', 'dashboard'],
  ['LOG_LEVEL', 'verbose'],
  ['REQUEST_BUDGET', '-1'],
  ['ABANDONED_AFTER', '45'],
  ['KUBERNETES_SERVICE_HOST', 'https://host'],
  ['SERVICE_ACCOUNT_DIRECTORY', 'run'],
]
for (const [name, value] of wrong) {
  test(`${name}=${value} is refused`, (t) => {
    const error = t.throws(() => loadConfig({ ...least, [name]: value }), { instanceOf: ConfigurationError })
    t.is(error?.mistakes.length, 1)
    t.true(error?.message.startsWith(`${name} is ${JSON.stringify(value)}: must`), error?.message)
  })
}

test('an empty variable counts as absent', (t) => {
  t.is(loadConfig({ ...least, PORT: '', METADATA_PREFIXES: '' }).port, 8080)
})

test('the namespace of databases is required where it is fixed', (t) => {
  const error = t.throws(() => loadConfig({ BROKER_NAMESPACE: 'broker' }), { instanceOf: ConfigurationError })
  t.deepEqual(error?.mistakes, [
    'DATABASE_NAMESPACE is missing: must name the namespace of the databases, or NAMESPACE_POLICY must be context',
  ])
  t.notThrows(() => loadConfig({ BROKER_NAMESPACE: 'broker', NAMESPACE_POLICY: 'context' }))
})

test("the broker's namespace is by default the service account's", async (t) => {
  const directory = join(await folder(t), 'serviceaccount')
  const env = { DATABASE_NAMESPACE: 'databases', SERVICE_ACCOUNT_DIRECTORY: directory }
  const error = t.throws(() => loadConfig(env), { instanceOf: ConfigurationError })
  t.deepEqual(error?.mistakes, [
    `BROKER_NAMESPACE is missing, and so is the file ${directory}/namespace: one of them must name the namespace of the broker`,
  ])
  t.is(loadConfig(env, { cluster: false }).brokerNamespace, '')
  await mkdir(directory)
  await writeFile(join(directory, 'namespace'), 'osb\n')
  t.is(loadConfig(env).brokerNamespace, 'osb')
})

test('the table for the docs has a meaning for every variable and the defaults in force', (t) => {
  const rows = variables()
  t.is(rows.length, 24)
  t.deepEqual(
    rows.filter((row) => row.meaning === ''),
    [],
  )
  const defaults = Object.fromEntries(
    rows.flatMap((row) => (row.default === undefined ? [] : [[row.name, row.default]])),
  )
  t.deepEqual(loadConfig({ ...least, ...defaults }), loadConfig(least))
})

test('what is made from a configuration is made once', (t) => {
  let made = 0
  const given = fromConfig((config) => {
    made++
    return config.port
  })
  const config = loadConfig(least)
  t.is(given(config), 8080)
  t.is(given(config), 8080)
  t.is(given(loadConfig({ ...least, PORT: '1' })), 1)
  t.is(made, 2)
})
