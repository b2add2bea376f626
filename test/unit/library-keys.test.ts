/** Keys that libraries look for: added to what a binding gets, and never in the place of it. */
import test from 'ava'
import { exampleCredentials, exampleReach } from '../../generate/example-credentials.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { checkCatalog } from '../../shared/osb/catalog/file.ts'
import { parseYaml } from '../../shared/osb/catalog/yaml.ts'
import { isObject } from '../../shared/values/json.ts'
import { catalogParts, catalogWith } from '../support/catalog-parts.ts'
import { allPlans } from '../support/shipped-catalog.ts'

const user = { name: 'USER', password: 'PASSWORD' }

const examples = allPlans().flatMap(({ plan, kind }) =>
  (kind.parameters.includes('tls') ? [false, true] : [false]).map((tls) => ({
    title: `${plan.serviceName} ${plan.name}${tls ? ' with TLS' : ''}`,
    kind,
    plan,
    tls,
    credentials: exampleCredentials(kind, plan, tls),
  })),
)

test('every kind of the broker has examples', (t) => {
  t.deepEqual([...new Set(examples.map(({ kind }) => kind.kind))].sort(), [...kinds.keys()].sort())
})

test('what a kind says by its own names stays as it is, and stands first', (t) => {
  for (const { title, kind, plan, tls, credentials } of examples) {
    const own = kind.credentials(exampleReach(kind, plan, tls), user)
    t.deepEqual(Object.entries(credentials).slice(0, Object.keys(own).length), Object.entries(own), title)
  }
})

test('no library key has a name that the kind uses itself, and each is in some example', (t) => {
  for (const [name, kind] of kinds) {
    const mine = examples.filter((example) => example.kind === kind)
    for (const key of kind.libraryKeys) {
      const has = mine.filter(({ credentials }) => Object.hasOwn(credentials, key.name))
      t.true(has.length > 0, `${name} ${key.name}`)
      for (const { plan, tls } of mine)
        t.false(
          Object.hasOwn(kind.credentials(exampleReach(kind, plan, tls), user), key.name),
          `${name} ${key.name}`,
        )
    }
  }
})

test('keys are names of Secrets and files; what libraries read is text', (t) => {
  for (const { title, kind, credentials } of examples) {
    for (const key of Object.keys(credentials)) t.regex(key, /^[a-zA-Z][-._a-zA-Z0-9]{0,252}$/, title)
    for (const { name } of kind.libraryKeys) {
      const value = credentials[name]
      t.true(value === undefined || (typeof value === 'string' && value !== ''), `${title}: ${name}`)
    }
  }
})

test('the CA is there by every name where the database speaks TLS, and by none where it does not', (t) => {
  const names = ['certificates', 'root.crt', 'sslRootCert']
  for (const { title, kind, tls, credentials } of examples) {
    for (const name of names.filter((one) => kind.libraryKeys.some((key) => key.name === one)))
      t.is(credentials[name], tls ? credentials.rootCert : undefined, `${title}: ${name}`)
  }
})

const plansOf = (service: string) => examples.filter(({ plan }) => plan.serviceName === service)

test('PostgreSQL: whoever has to look for the CA gets no URL without it', (t) => {
  for (const { tls, credentials } of plansOf('postgresql')) {
    t.is(credentials['jdbc-url'], tls ? undefined : credentials.jdbcUrl)
    t.is(credentials.sslmode, tls ? 'require' : 'disable')
    t.is(credentials.sslrootcert, tls ? 'root.crt' : undefined)
  }
})

test('Redis: nodes of a cluster, and nothing that Spring would take for one of a single server', (t) => {
  for (const { kind, plan, tls, credentials } of plansOf('redis')) {
    const { spec } = exampleReach(kind, plan, tls)
    const nodes = [0, 1, 2].map((shard) => `osb-example-shard${shard}-0.osb-example-pods.databases.svc:0`)
    t.is(credentials['cluster.nodes'], isObject(spec.cluster) ? nodes.join(',') : undefined)
    t.is(credentials.url, credentials.uri)
    t.false('ssl' in credentials)
  }
})

test('MongoDB: the options of the URI by themselves', (t) => {
  for (const { credentials } of plansOf('mongodb'))
    t.is(new URL(String(credentials.uri).replace(/,[^/]*/, '')).search, `?${credentials.options}`)
})

test('Elasticsearch and RabbitMQ: addresses without a log-in, which libraries have by themselves', (t) => {
  for (const { credentials } of plansOf('elasticsearch'))
    t.is(credentials.uris, 'https://osb-example.databases.svc:0')
  for (const { credentials } of plansOf('rabbitmq')) {
    t.is(credentials.addresses, 'osb-example.databases.svc:0')
    t.is(credentials['virtual-host'], 'app')
  }
})

test('services have the tags by which libraries on Cloud Foundry find them', (t) => {
  const looked: { readonly [service: string]: readonly string[] } = {
    postgresql: ['postgresql', 'postgres'],
    mysql: ['mysql'],
    mariadb: ['mariadb', 'mysql'],
    perconaxtradb: ['mysql'],
    mongodb: ['mongodb'],
    redis: ['redis'],
    rabbitmq: ['rabbitmq', 'amqp'],
    kafka: ['kafka'],
    elasticsearch: ['elasticsearch'],
    memcached: ['memcached'],
  }
  const { services } = checkCatalog(parseYaml(catalogWith(catalogParts())), kinds)
  t.deepEqual([...new Set(services.map(({ name }) => name))].sort(), Object.keys(looked).sort())
  for (const { name, tags = [] } of services)
    for (const tag of looked[name] ?? []) t.true(tags.includes(tag), `${name}: ${tag}`)
})

test('the type is the one that libraries look for where they talk to such a server', (t) => {
  const types = Object.fromEntries(
    examples.map(({ plan, credentials }) => [plan.serviceName, credentials.type]),
  )
  t.deepEqual(types, {
    postgresql: 'postgresql',
    mysql: 'mysql',
    // Its own, which libraries have to be told: docs/bindings/keys.md.
    mariadb: 'mariadb',
    perconaxtradb: 'mysql',
    mongodb: 'mongodb',
    redis: 'redis',
    rabbitmq: 'rabbitmq',
    kafka: 'kafka',
    elasticsearch: 'elasticsearch',
    memcached: 'memcached',
  })
})

test('one server or several: what an application gets differs with Redis, MongoDB, Kafka and Memcached alone', (t) => {
  const alike = ['postgresql', 'mysql', 'mariadb', 'perconaxtradb', 'rabbitmq', 'elasticsearch']
  for (const service of alike) {
    for (const encrypted of [false, true]) {
      const mine = plansOf(service).filter(({ tls }) => tls === encrypted)
      for (const { title, credentials } of mine) {
        const one = mine.find((other) => other.credentials.type === credentials.type)
        t.deepEqual(credentials, one?.credentials, title)
      }
    }
  }
  for (const service of ['redis', 'mongodb', 'kafka', 'memcached'])
    t.true(new Set(plansOf(service).map(({ credentials }) => JSON.stringify(credentials.hosts))).size > 1)
})
