import { mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { type Catalog, catalogOf } from '../../shared/osb/catalog/catalog.ts'
import { checkCatalog } from '../../shared/osb/catalog/file.ts'
import { mountedCatalog } from '../../shared/osb/catalog/mounted-catalog.ts'
import { parseYaml, renderCatalog } from '../../shared/osb/catalog/yaml.ts'
import { mergePatch } from '../../shared/osb/parameters/merge-patch.ts'
import { checkParameters } from '../../shared/osb/parameters/parameters.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { isObject } from '../../shared/values/json.ts'
import type { Traits } from '../../shared/values/nouns.ts'
import { semverOf } from '../../shared/values/semver.ts'
import { fits } from './draft04.ts'
import { postgresTraits } from './postgres-traits.ts'

const traits: ReadonlyMap<string, Traits> = new Map([
  ['Postgres', postgresTraits],
  [
    'Memcached',
    { ...postgresTraits, kind: 'Memcached', parameters: ['version', 'cpu', 'memory', 'replicas'] },
  ],
])

const shippedFile = new URL('../../knative/base/catalog.yaml', import.meta.url)

const smallest = `
v: 1
services:
  - id: s1
    name: postgresql
    kind: Postgres
    description: A database
    plans:
      - id: p1
        name: small
        description: One server
        version: '18.3'
        versions: ['18.3', '17.9']
        spec:
          replicas: 1
          storageType: Durable
          storage: { resources: { requests: { storage: 10Gi } } }
          podTemplate: { spec: { containers: [{ name: postgres, resources: { requests: { cpu: 500m } } }] } }
        parameters:
          storage: { min: 10Gi, max: 100Gi }
          cpu: { min: 250m, max: 4 }
          database: true
`

/** @returns the smallest catalog with something changed (RFC 7386) in its one service and its one plan */
function changed(plan: object, service: object = {}): unknown {
  const document = parseYaml(smallest)
  const one = (list: unknown, change: object) => {
    const [first] = Array.isArray(list) ? list : []
    return [mergePatch(first, JSON.parse(JSON.stringify(change)))]
  }
  if (!isObject(document) || !Array.isArray(document.services)) throw new Error('no services')
  const [before] = document.services
  const [after] = one(document.services, service)
  return { ...document, services: [{ ...after, plans: one(before.plans, plan) }] }
}

/** @returns the mistakes that are named, without the sentence before them */
function mistakes(document: unknown, of: ReadonlyMap<string, Traits> = traits): string[] {
  try {
    parseCatalog(document, of)
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'Misconfigured') {
      return error.message
        .replace(/^The catalog cannot be used: /, '')
        .split('; services')
        .map((text, index) => (index === 0 ? text : `services${text}`))
    }
    throw error
  }
  return []
}

function parseCatalog(document: unknown, of: ReadonlyMap<string, Traits>): Catalog {
  return catalogOf(checkCatalog(document, of), of)
}

function body(text: string, of: ReadonlyMap<string, Traits> = traits) {
  return JSON.parse(parseCatalog(parseYaml(text), of).body)
}

test('the shipped catalog keeps the rules, for the kinds the broker has', async (t) => {
  const text = await readFile(shippedFile, 'utf8')
  const catalog = parseCatalog(parseYaml(text), kinds)
  const postgresql = catalog.service('2010d83f-d908-4d9f-879c-ce8f5f527f2a')
  t.deepEqual(
    postgresql?.plans.map(({ id, name }) => `${name} ${id}`),
    [
      'demo-postgresql c4bcf392-7ebb-4623-a79d-13d00d761d56',
      'demo-ha-postgresql 41818203-0e2d-4d30-809f-a60c8c73dae8',
      'small 252027a9-3bde-4afa-a251-4457ef08594e',
      'large-ha fcca3ba1-84e3-41a2-ba70-2e8174e5cbb7',
      'postgresql 13373a9b-d5f5-4d9a-88df-d696bbc19071',
    ],
  )
  for (const plan of postgresql?.plans ?? []) t.is(plan.spec.deletionPolicy, 'WipeOut')
})

/** Services and plans of the AppsCode Service Broker, whose instances keep their ids. */
const inherited = {
  'elasticsearch 315fc21c-829e-4aa1-8c16-f7921c33550d': [
    'demo-elasticsearch c4e99557-3a81-452e-b9cf-660f01c155c0',
    'demo-elasticsearch-cluster 2f05622b-724d-458f-abc8-f223b1afa0b9',
    'elasticsearch 6fa212e2-e043-4ae9-91c2-8e5c4403d894',
  ],
  'memcached d88856cb-fe3f-4473-ba8b-641480da810f': [
    'demo-memcached af1ce2dc-5734-4e41-aaa2-8aa6a58d688f',
    'memcached d40e49b2-f8fb-4d47-96d3-35089bd0942d',
  ],
  'mongodb d690058d-666c-45d8-ba98-fcb9fb47742e': [
    'demo-mongodb 498c12a6-7a68-4983-807b-75737f99062a',
    'demo-mongodb-cluster 6af19c54-7757-42e5-bb74-b8350037c4a2',
    'mongodb e8f87ba6-0711-42db-a663-a3c75b78a541',
  ],
  'mysql 938a70c5-f2bc-4658-82dd-566bed7797e9': [
    'demo-mysql 1fd1abf1-e8e1-44a2-8214-bf0fd1ce9417',
    'mysql 6ed1ab9e-a640-4f26-9328-423b2e3816d7',
  ],
  'postgresql 2010d83f-d908-4d9f-879c-ce8f5f527f2a': [
    'demo-postgresql c4bcf392-7ebb-4623-a79d-13d00d761d56',
    'demo-ha-postgresql 41818203-0e2d-4d30-809f-a60c8c73dae8',
    'postgresql 13373a9b-d5f5-4d9a-88df-d696bbc19071',
  ],
  'redis ccfd1c81-e59f-4875-a39f-75ba55320ce0': [
    'demo-redis 4b6ad8a7-272e-4cfd-bb38-5b9d4bd3962f',
    'redis 45716530-cadb-4247-b06a-24a34200d734',
  ],
}

test('the shipped catalog has every service and plan of the AppsCode broker, under the same ids', async (t) => {
  const catalog = parseCatalog(parseYaml(await readFile(shippedFile, 'utf8')), kinds)
  for (const [service, plans] of Object.entries(inherited)) {
    const found = catalog.services.find(({ id, name }) => `${name} ${id}` === service)
    const names = found?.plans.map(({ id, name }) => `${name} ${id}`) ?? []
    t.deepEqual(
      plans.filter((plan) => !names.includes(plan)),
      [],
      service,
    )
  }
})

test('the shipped catalog has plans from small to highly available for every engine', async (t) => {
  const catalog = parseCatalog(parseYaml(await readFile(shippedFile, 'utf8')), kinds)
  // the other kinds that the broker knows are off by default; catalog-parts.test.ts holds that each can be added
  const six = ['Elasticsearch', 'Memcached', 'MongoDB', 'MySQL', 'Postgres', 'Redis']
  t.deepEqual(catalog.services.map(({ kind }) => kind).sort(), six)
  for (const { kind, plans } of catalog.services) {
    const names = plans.map(({ name }) => name)
    t.true(names.includes('small'), kind)
    t.true(names.includes(kind === 'Memcached' ? 'large' : 'large-ha'), kind)
    t.is(plans.filter(({ parameters }) => parameters.spec).length, 1, kind)
    for (const plan of plans) t.is(plan.spec.deletionPolicy, 'WipeOut')
  }
})

test('the shipped catalog has every boolean written out and strings that platforms take', async (t) => {
  const { services } = body(await readFile(shippedFile, 'utf8'), kinds)
  for (const service of services) {
    t.is(typeof service.bindable, 'boolean')
    for (const key of ['instances_retrievable', 'bindings_retrievable', 'allow_context_updates']) {
      t.is(service[key], true)
    }
    t.is(service.kind, undefined)
    for (const plan of service.plans) {
      for (const key of ['free', 'bindable', 'plan_updateable', 'binding_rotatable']) {
        t.is(typeof plan[key], 'boolean', `${plan.name} ${key}`)
      }
      t.regex(plan.maintenance_info.version, /^[0-9]+\.[0-9]+\.[0-9]+$/)
      t.regex(plan.maintenance_info.description, /^[A-Za-z]+ ([a-z]+-)?[0-9.]+$/)
      t.is(typeof plan.maximum_polling_duration, 'number')
      t.deepEqual(
        Object.keys(plan).filter((key) =>
          ['version', 'versions', 'spec', 'parameters', 'engineVersion'].includes(key),
        ),
        [],
      )
      for (const schema of [
        plan.schemas.service_instance.create.parameters,
        plan.schemas.service_instance.update.parameters,
        ...(plan.bindable ? [plan.schemas.service_binding.create.parameters] : []),
      ]) {
        t.is(schema.$schema, 'http://json-schema.org/draft-04/schema#')
        t.true(JSON.stringify(schema).length < 64_000)
        t.true(fits(schema, {}))
      }
    }
  }
})

test("the shipped custom plan takes the AppsCode broker's raw specs", async (t) => {
  const catalog = parseCatalog(parseYaml(await readFile(shippedFile, 'utf8')), kinds)
  const plan = catalog.plan('2010d83f-d908-4d9f-879c-ce8f5f527f2a', '13373a9b-d5f5-4d9a-88df-d696bbc19071')
  const own = kinds.get('Postgres')
  if (!plan || !own) return t.fail()
  const spec = {
    version: '17.8',
    replicas: 3,
    standbyMode: 'Hot',
    storageType: 'Durable',
    storage: {
      storageClassName: 'standard',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
    },
    deletionPolicy: 'WipeOut',
  }
  const { version, ...rest } = spec
  t.deepEqual<unknown, unknown>(checkParameters(plan, own, { spec }, 'create', []), { version, spec: rest })
})

test('a plan is found by its service and its id together', (t) => {
  const catalog = parseCatalog(parseYaml(smallest), traits)
  t.is(catalog.plan('s1', 'p1')?.name, 'small')
  t.is(catalog.plan('s1', 'p2'), undefined)
  t.is(catalog.plan('p1', 'p1'), undefined)
  t.is(catalog.service('s1')?.kind, 'Postgres')
  t.is(catalog.service('constructor'), undefined)
})

test('what a plan does not say is filled in', (t) => {
  const plan = parseCatalog(parseYaml(smallest), traits).plan('s1', 'p1')
  t.like(plan, {
    serviceName: 'postgresql',
    kind: 'Postgres',
    version: '18.3',
    maintenanceVersion: '18.3.0',
    maximumPollingDuration: undefined,
    bindable: true,
    planUpdateable: true,
    bindingRotatable: false,
    parameters: {
      version: { enum: ['18.3', '17.9'] },
      storage: { min: '10Gi', max: '100Gi' },
      cpu: { min: '250m', max: '4' },
      database: true,
    },
  })
  t.is(plan?.spec.deletionPolicy, 'WipeOut')
  const [service] = body(smallest).services
  t.like(service, {
    bindable: true,
    plan_updateable: true,
    instances_retrievable: true,
    allow_context_updates: true,
  })
  t.like(service.plans[0], { free: true, bindable: true, plan_updateable: true, binding_rotatable: false })
})

test('the URL template of a plan is for one host, with placeholders that are known', (t) => {
  const plan = parseCatalog(
    changed({ dashboardUrl: 'https://grafana.example:3000/d/x?a={name}&b={namespace}#{instance}' }),
    traits,
  ).plan('s1', 'p1')
  t.is(plan?.dashboardUrl, 'https://grafana.example:3000/d/x?a={name}&b={namespace}#{instance}')
  t.false(Object.hasOwn(body(smallest).services[0].plans[0], 'dashboardUrl'))
  const place = 'services[0].plans[0].dashboardUrl (postgresql small): '
  t.deepEqual(mistakes(changed({ dashboardUrl: 'https://x.example/{nmae}' })), [
    `${place}has a placeholder that is not known; what is: {name}, {namespace}, {instance}`,
  ])
  for (const dashboardUrl of [
    'javascript:alert(1)//{name}',
    'https://{name}.example/',
    'https://user:word@grafana.example/',
    'https://grafana.example:port/',
    'https://grafana.example\\@evil.example/',
    '/d/x?a={name}',
  ]) {
    t.deepEqual(mistakes(changed({ dashboardUrl })), [
      `${place}must be a URL of http or https with a host, without a user, and with placeholders only after the host`,
    ])
  }
})

test('a plan that is not bindable has no schema for bindings', (t) => {
  const catalog = parseCatalog(changed({ bindable: false }), traits)
  const [plan] = JSON.parse(catalog.body).services[0].plans
  t.is(plan.bindable, false)
  t.is(plan.schemas.service_binding, undefined)
})

test('a parameter switched off is not offered', (t) => {
  const plan = parseCatalog(changed({ parameters: { database: false } }), traits).plan('s1', 'p1')
  t.is(plan?.parameters.database, undefined)
})

test('the entity tag changes with the answer and only with it', (t) => {
  const one = parseCatalog(parseYaml(smallest), traits)
  t.regex(one.etag, /^"[A-Za-z0-9_-]{43}"$/)
  t.is(one.etag, parseCatalog(parseYaml(`# a comment\n${smallest}`), traits).etag)
  t.not(one.etag, parseCatalog(changed({ description: 'Another' }), traits).etag)
})

const plan = 'services[0].plans[0]'

const wrong: [what: string, document: unknown, ...mistakes: string[]][] = [
  ['an empty file', null, 'the file: must be a mapping'],
  [
    'a version of the format to come',
    { v: 2, services: [] },
    'v: must be 1, the version of this format',
    'services: must have at least one service',
  ],
  [
    'a key misspelt',
    changed({ bindabel: true }),
    `${plan}.bindabel (postgresql small): is not known here; what is: id, name, description, free, bindable, plan_updateable, binding_rotatable, bindingExpiry, maximum_polling_duration, metadata, version, engineVersion, versions, spec, parameters, dashboardUrl`,
  ],
  [
    'an end of bindings that is no time',
    changed({ bindingExpiry: { after: '90 days', renewBefore: 14 } }),
    `${plan}.bindingExpiry.after (postgresql small): must be a time such as 90d, 36h, 30m or 45s`,
    `${plan}.bindingExpiry.renewBefore (postgresql small): must be a time such as 90d, 36h, 30m or 45s`,
  ],
  [
    'bindings to be rotated before they are made',
    changed({ bindingExpiry: { after: '24h', renewBefore: '1d' } }),
    `${plan}.bindingExpiry (postgresql small): renewBefore must be shorter than after: it is how long before their end credentials are to be rotated`,
  ],
  [
    'a key missing',
    changed({ description: null }),
    `${plan}.description (postgresql small): is missing; it must be there`,
  ],
  [
    'a text too long',
    changed({ description: 'x'.repeat(256) }),
    `${plan}.description (postgresql small): has 256 characters; at most 255 are allowed`,
  ],
  [
    'a name no command line likes',
    changed({}, { name: 'my db' }),
    'services[0].name (my db): must consist of letters, digits, dots and dashes',
  ],
  ['a boolean in words', changed({ free: 'yes' }), `${plan}.free (postgresql small): must be true or false`],
  [
    'a version that YAML makes a number',
    changed({ version: 18.3 }),
    `${plan}.version (postgresql small): must be in quotes, like "18.3", or YAML takes it for a number`,
  ],
  [
    'a kind unknown',
    changed({}, { kind: 'Postgers' }),
    'services[0].kind (postgresql): "Postgers" is no kind this broker knows; choose Postgres, Memcached',
  ],
  [
    'a version not on the list',
    changed({ version: '16.13' }),
    `${plan}.version (postgresql small): "16.13" is not among versions; add it there or choose 18.3, 17.9`,
  ],
  [
    'a version that is a name',
    changed({ version: '18.3-bookworm', versions: null }),
    `${plan}.version (postgresql small): "18.3-bookworm" does not tell the engine's version; add engineVersion, such as "18.3"`,
  ],
  [
    'an engine version that is none',
    changed({ engineVersion: 'v18' }),
    `${plan}.engineVersion (postgresql small): "v18" is no version such as "18.3" or "18.3.0"`,
  ],
  [
    'bounds turned round',
    changed({ parameters: { cpu: { min: '4', max: '1' } } }),
    `${plan}.parameters.cpu (postgresql small): min is more than max; turn them round`,
  ],
  [
    'replicas turned round',
    changed({ parameters: { replicas: { min: 5, max: 3 } } }),
    `${plan}.parameters.replicas (postgresql small): min is more than max; turn them round`,
  ],
  [
    'a quantity that is none',
    changed({ parameters: { storage: { max: '100GB' } } }),
    `${plan}.parameters.storage.max (postgresql small): must be a quantity above 0, such as "500m" or 10Gi`,
  ],
  [
    'a quantity of nothing',
    changed({ parameters: { cpu: { min: 0 } } }),
    `${plan}.parameters.cpu.min (postgresql small): must be a quantity above 0, such as "500m" or 10Gi`,
  ],
  [
    'a plan outside its own bounds',
    changed({ parameters: { storage: { min: '20Gi' } } }),
    `${plan}.spec.storage.resources.requests.storage (postgresql small): 10Gi is less than this plan's smallest, 20Gi`,
  ],
  [
    'one server where three are the least',
    changed({ spec: { replicas: null }, parameters: { replicas: { min: 3, max: 5 } } }),
    `${plan}.spec.replicas (postgresql small): is missing, so there would be 1, less than this plan's smallest, 3; add it`,
  ],
  [
    'a version in the spec',
    changed({ spec: { version: '18.3' } }),
    `${plan}.spec.version (postgresql small): belongs beside spec, as version of the plan`,
  ],
  [
    'DoNotTerminate',
    changed({ spec: { deletionPolicy: 'DoNotTerminate' } }),
    `${plan}.spec.deletionPolicy (postgresql small): DoNotTerminate would block deprovisioning; choose WipeOut, Delete or Halt`,
  ],
  [
    'DoNotTerminate on offer',
    changed({ parameters: { deletionPolicy: { enum: ['DoNotTerminate'] } } }),
    `${plan}.parameters.deletionPolicy.enum[0] (postgresql small): must be one of Halt, Delete, WipeOut`,
  ],
  [
    'a durable plan without a disk',
    changed({ spec: { storage: null } }),
    `${plan}.spec.storage (postgresql small): a durable database needs a disk; give storage.resources.requests.storage, such as "10Gi", or make storageType Ephemeral`,
  ],
  [
    'a durable plan with nothing but a limit for its disk',
    changed({ spec: { storage: { resources: { requests: null, limits: { storage: '10Gi' } } } } }),
    `${plan}.spec.storage (postgresql small): a durable database needs a disk`,
  ],
  [
    'an ephemeral plan with a disk',
    changed({ spec: { storageType: 'Ephemeral' }, parameters: { storage: null } }),
    `${plan}.spec.storage (postgresql small): an ephemeral database has no disk; leave it out, or make storageType Durable`,
  ],
  [
    'an ephemeral plan that offers a disk',
    changed({ spec: { storageType: 'Ephemeral', storage: null } }),
    `${plan}.parameters.storage (postgresql small): an ephemeral database has no disk; take it away, or make storageType Durable`,
  ],
  [
    'an ephemeral plan kept by Halt',
    changed({
      spec: { storageType: 'Ephemeral', storage: null, deletionPolicy: 'Halt' },
      parameters: { storage: null },
    }),
    `${plan}.spec.deletionPolicy (postgresql small): Halt keeps the disk, and an ephemeral database has none; choose Delete or WipeOut`,
  ],
  [
    'an ephemeral plan that offers Halt',
    changed({
      spec: { storageType: 'Ephemeral', storage: null },
      parameters: { storage: null, deletionPolicy: { enum: ['WipeOut', 'Halt'] } },
    }),
    `${plan}.parameters.deletionPolicy.enum (postgresql small): Halt keeps the disk`,
  ],
  [
    'an ephemeral plan that can be suspended',
    changed({
      spec: { storageType: 'Ephemeral', storage: null },
      parameters: { storage: null, suspended: true },
    }),
    `${plan}.parameters.suspended (postgresql small): an ephemeral database would lose its data; take it away`,
  ],
  [
    'a storage type unknown',
    changed({ spec: { storageType: 'durable' } }),
    `${plan}.spec.storageType (postgresql small): "durable" must be "Durable" or "Ephemeral"`,
  ],
  [
    'what the kind does not have',
    changed({ spec: { storage: null, storageType: null } }, { kind: 'Memcached' }),
    `${plan}.parameters.storage (postgresql small): Memcached does not have it; take it away`,
    `${plan}.parameters.database (postgresql small): Memcached does not have it; take it away`,
  ],
  [
    'versions in the wrong place',
    changed({ parameters: { version: { enum: ['18.3'] } } }),
    `${plan}.parameters.version (postgresql small): cannot stand here; list the versions under \`versions\` of the plan`,
  ],
  [
    'a version twice',
    changed({ versions: ['18.3', '18.3'] }),
    `${plan}.versions (postgresql small): names one twice`,
  ],
  [
    'schemas too large',
    changed({
      parameters: { storageClass: { enum: Array.from({ length: 6000 }, (_, index) => `class-${index}`) } },
    }),
    `${plan}.parameters (postgresql small): make a JSON Schema of`,
  ],
  [
    'a documentation URL that is none',
    changed({}, { metadata: { documentationUrl: 5 } }),
    'services[0].metadata.documentationUrl (postgresql): must be a string',
  ],
  [
    'a polling duration of half a minute',
    changed({ maximum_polling_duration: 30 }),
    `${plan}.maximum_polling_duration (postgresql small): must be at least 60 seconds`,
  ],
]

for (const [what, document, ...expected] of wrong) {
  test(`${what} is named with its cure`, (t) => {
    const found = mistakes(document)
    t.is(found.length, expected.length, found.join('\n'))
    for (const [index, mistake] of expected.entries()) {
      t.true(found[index]?.startsWith(mistake), found[index])
    }
  })
}

test('ids are unique in the whole catalog, names in their list', (t) => {
  const text = `${smallest}
      - { id: p1, name: small, description: Twin, version: '18.3', spec: { storageType: Ephemeral } }
  - id: p1
    name: postgresql
    kind: Postgres
    description: Twin
    plans: [{ id: s1, name: small, description: Other, version: '18.3', spec: { storageType: Ephemeral } }]
`
  t.deepEqual(mistakes(parseYaml(text)), [
    'services[0].plans[1].id (postgresql small): "p1" is taken by services[0].plans[0]; it must be unique',
    'services[1].id (postgresql): "p1" is taken by services[0].plans[0]; it must be unique',
    'services[1].plans[0].id (postgresql small): "s1" is taken by services[0]; it must be unique',
    'services[1].name (postgresql): "postgresql" is taken by services[0]; it must be unique',
    'services[0].plans[1].name (postgresql small): "small" is taken by services[0].plans[0]; it must be unique',
  ])
})

const mongodb = { name: 'mongodb', kind: 'MongoDB' }
const podOf = (name: string) => ({
  spec: { containers: [{ name, resources: { requests: { cpu: '500m' } } }] },
})
const claim = { resources: { requests: { storage: '10Gi' } } }
const oneServer = { version: '8.0.17', versions: null, spec: { podTemplate: podOf('mongodb') } }
const cluster = {
  version: '8.0.17',
  versions: null,
  spec: {
    replicas: null,
    storage: null,
    podTemplate: null,
    shardTopology: {
      shard: { shards: 2, replicas: 3, storage: claim, podTemplate: podOf('mongodb') },
      configServer: { replicas: 3, storage: { resources: { requests: { storage: '1Gi' } } } },
      mongos: { replicas: 2 },
    },
  },
}
const issuer = { kind: 'ClusterIssuer', name: 'internal-ca' }

const wrongForItsKind: [what: string, document: unknown, ...mistakes: string[]][] = [
  [
    'shards turned round',
    changed({ ...cluster, parameters: { shards: { min: 4, max: 2 } } }, mongodb),
    `${plan}.parameters.shards (mongodb small): min is more than max; turn them round`,
  ],
  [
    'half a shard',
    changed({ ...cluster, parameters: { shards: { min: 1, max: 2.5 } } }, mongodb),
    `${plan}.parameters.shards.max (mongodb small): must be a whole number`,
  ],
  [
    'shards outside their bounds',
    changed({ ...cluster, parameters: { shards: { min: 3, max: 5 } } }, mongodb),
    `${plan}.spec.shardTopology.shard.shards (mongodb small): 2 is less than this plan's smallest, 3`,
  ],
  [
    'shards of a plan that has none',
    changed({ ...oneServer, parameters: { shards: { min: 1, max: 3 } } }, mongodb),
    `${plan}.parameters.shards (mongodb small): the plan's spec has none; say how many there are, or take it away`,
  ],
  [
    'shards of a kind that has none',
    changed({ parameters: { shards: { min: 1, max: 3 } } }),
    `${plan}.parameters.shards (postgresql small): Postgres has no shards; ask for more replicas, or for larger servers; take it away`,
  ],
  [
    'certificates without an issuer',
    changed({ ...oneServer, parameters: { tls: { issuers: {} } } }, mongodb),
    `${plan}.parameters.tls.issuers (mongodb small): must name at least one`,
  ],
  [
    'certificates switched on',
    changed({ ...oneServer, parameters: { tls: true } }, mongodb),
    `${plan}.parameters.tls (mongodb small): must be a mapping`,
  ],
  [
    'an issuer of another kind',
    changed(
      { ...oneServer, parameters: { tls: { issuers: { own: { ...issuer, kind: 'Vault' } } } } },
      mongodb,
    ),
    `${plan}.parameters.tls.issuers.own.kind (mongodb small): must be Issuer or ClusterIssuer`,
  ],
  [
    'an issuer without a name',
    changed({ ...oneServer, parameters: { tls: { issuers: { own: { kind: 'Issuer' } } } } }, mongodb),
    `${plan}.parameters.tls.issuers.own.name (mongodb small): is missing; it must be there`,
  ],
  [
    'an issuer in another namespace',
    changed({ ...oneServer, parameters: { tls: { issuers: { own: { ...issuer, name: 'a/b' } } } } }, mongodb),
    `${plan}.parameters.tls.issuers.own.name (mongodb small): must be the name of a cert-manager resource, such as internal-ca`,
  ],
  [
    'a name for an issuer that is no name',
    changed({ ...oneServer, parameters: { tls: { issuers: { 'Own CA': issuer } } } }, mongodb),
    'must be a name such as internal-ca',
  ],
  [
    'copies of a server on its own',
    changed({ ...oneServer, spec: { ...oneServer.spec, replicas: 3 } }, mongodb),
    `${plan}.spec.replicas (mongodb small): a server on its own has no copies; only a replica set has (replicaSet.name, from the first day on)`,
  ],
  [
    'a version that the kind cannot be had in',
    changed(
      { version: '5.7.44', versions: null, spec: { podTemplate: podOf('mysql') } },
      { name: 'mysql', kind: 'MySQL' },
    ),
    `${plan}.version (mysql small): 5.7.44 is not offered: its names have to be shorter than this broker gives them; choose 8.0 or later`,
  ],
]

for (const [what, document, ...expected] of wrongForItsKind) {
  test(`refused, with what would be right for its kind: ${what}`, (t) => {
    const found = mistakes(document, kinds)
    for (const mistake of expected) {
      t.true(
        found.some((one) => one.includes(mistake)),
        `${mistake}\nin\n${found.join('\n')}`,
      )
    }
  })
}

test('a plan may name issuers, and bounds are about the servers with data', (t) => {
  const parameters = {
    shards: { min: 2, max: 4 },
    replicas: { min: 3, max: 5 },
    tls: { issuers: { internal: issuer } },
  }
  const catalog = parseCatalog(changed({ ...cluster, parameters }, mongodb), kinds)
  t.like(catalog.plan('s1', 'p1')?.parameters, parameters)
})

test('every mistake is named at once, whatever else is wrong beside it', (t) => {
  const found = mistakes(
    changed(
      {
        id: 's1',
        free: 'no',
        colour: 'blue',
        version: '16.13',
        spec: { storageType: 'Ephemeral', replicas: 9 },
        parameters: { cpu: { min: '8', max: '4' }, replicas: { min: 1, max: 5 }, memory: 'much' },
      },
      { kind: 'Postgres', tags: 'sql', name: '' },
    ),
  )
  for (const place of [
    'name',
    'tags',
    'plans[0].id',
    'plans[0].free',
    'plans[0].colour',
    'plans[0].version',
    'plans[0].parameters.cpu',
    'plans[0].parameters.memory',
    'plans[0].parameters.storage',
    'plans[0].spec.storage',
  ]) {
    t.true(
      found.some((mistake) => mistake.startsWith(`services[0].${place}`)),
      `${place} in\n${found.join('\n')}`,
    )
  }
})

test('YAML that is none is refused by line and column, all mistakes at once', (t) => {
  const error = t.throws(() => parseYaml('v: 1\nservices: [\nname: x: y\nv: 2\n'), {
    instanceOf: BrokerError,
  })
  t.is(error?.problem, 'Misconfigured')
  t.regex(error?.message ?? '', /^The catalog cannot be used, it is not YAML: .*line 3, column/)
})

test('a number that JSON cannot hold is refused', (t) => {
  const document = parseYaml(smallest.replace('replicas: 1', 'replicas: .inf'))
  t.true(mistakes(document).some((mistake) => mistake.startsWith(`${plan}.spec.replicas`)))
})

test('aliases that multiply are refused, not unfolded', (t) => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join()}]`),
  ]
  t.throws(() => parseYaml(bomb.join('\n')), { message: /alias/ })
})

test('versions become semantic versions', (t) => {
  t.deepEqual(
    [
      '18.3',
      '18',
      '8.4.8',
      '1.6.40',
      '2025.0.1-cu0',
      '18.03',
      'v18.3',
      '18.3-bookworm',
      '18.3.0.1',
      '',
      '18.',
    ].map(semverOf),
    ['18.3.0', '18.0.0', '8.4.8', '1.6.40', '2025.0.1-cu0', ...Array(6).fill(undefined)],
  )
})

/** A folder as Kubernetes mounts a ConfigMap: files behind a symlink that is swapped. */
async function mount(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'catalog-'))
  t.teardown(() => rm(folder, { recursive: true }))
  let generation = 0
  await symlink('..data/catalog.yaml', join(folder, 'catalog.yaml'))
  await symlink('..data/catalog.json', join(folder, 'catalog.json'))
  return {
    path: join(folder, 'catalog.yaml'),
    async put(files: { [name: string]: string }) {
      const next = await mkdtemp(join(folder, `..${generation++}-`))
      for (const [name, content] of Object.entries(files)) await writeFile(join(next, name), content)
      await symlink(next, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    },
  }
}

test('an edited catalog is in force at the next request', async (t) => {
  const { path, put } = await mount(t)
  await put({ 'catalog.yaml': smallest })
  const catalog = mountedCatalog(path, traits)
  const first = await catalog()
  t.is(first.plan('s1', 'p1')?.version, '18.3')
  t.is(await catalog(), first)
  await put({ 'catalog.yaml': smallest.replace("version: '18.3'", "version: '17.9'") })
  t.is((await catalog()).plan('s1', 'p1')?.maintenanceVersion, '17.9.0')
})

test('a broken or absent catalog is an error with path and cure until it is right again', async (t) => {
  const { path, put } = await mount(t)
  const catalog = mountedCatalog(path, traits)
  for (const [content, message] of [
    [undefined, /cannot be read: ENOENT.*Mount it there, or set CATALOG_FILE$/],
    ['v: 1\nservices: [', /it is not YAML: .*\. Correct \S+catalog\.yaml$/],
    [
      smallest.replace('kind: Postgres', 'kind: Oracle'),
      /services\[0\]\.kind .*\. Correct \S+catalog\.yaml$/,
    ],
  ] as const) {
    if (content !== undefined) await put({ 'catalog.yaml': content })
    for (const _ of [1, 2]) {
      const error = await t.throwsAsync(catalog, { instanceOf: BrokerError, message })
      t.is(error?.problem, 'Misconfigured')
      t.true(error?.message.includes(path))
    }
  }
  await put({ 'catalog.yaml': smallest })
  t.is((await catalog()).plan('s1', 'p1')?.name, 'small')
})

test('rendered JSON says what its YAML says', async (t) => {
  const yaml = await readFile(shippedFile, 'utf8')
  const { path, put } = await mount(t)
  await put({ 'catalog.yaml': yaml })
  const edited = await mountedCatalog(path, kinds)()
  await put({ 'catalog.yaml': yaml, 'catalog.json': renderCatalog(yaml, kinds) })
  const rendered = await mountedCatalog(path, kinds)()
  t.is(rendered.body, edited.body)
  t.is(rendered.etag, edited.etag)
  t.deepEqual(rendered.services, edited.services)
})

test('rendered JSON is used if it is of this very YAML, and only then', async (t) => {
  const { path, put } = await mount(t)
  const read = async () => (await mountedCatalog(path, traits)()).plan('s1', 'p1')?.name
  const json = renderCatalog(smallest, traits)
  // Another name tells which of the two was read.
  const marked = json.replace('"name":"small"', '"name":"from-json"')
  t.not(marked, json)
  await put({ 'catalog.yaml': smallest, 'catalog.json': marked })
  t.is(await read(), 'from-json')
  for (const unusable of [
    renderCatalog(`# older\n${smallest}`, traits).replace('"name":"small"', '"name":"from-json"'),
    marked.replace('"v":1', '"v":2'),
    marked.replace('"format":1', '"format":0'),
    marked.replace('"kind":"Postgres"', '"kind":"Oracle"'),
    marked.replace(/"source":"[^"]*"/, '"source":""'),
    '{}',
    '',
  ]) {
    await put({ 'catalog.yaml': smallest, 'catalog.json': unusable })
    t.is(await read(), 'small')
  }
})

test('what is rendered is checked and filled in, in a form that goes with its format number', (t) => {
  const json = renderCatalog(smallest, traits)
  const { format, catalog } = JSON.parse(json)
  t.deepEqual(checkCatalog(catalog, traits), catalog)
  // Whoever changes this has changed `CatalogFile`: the format number must be raised with it.
  t.is(format, 1)
  const [service] = catalog.services
  t.deepEqual(Object.keys(service).sort(), [
    'allow_context_updates',
    'bindable',
    'bindings_retrievable',
    'description',
    'id',
    'instances_retrievable',
    'kind',
    'name',
    'plan_updateable',
    'plans',
  ])
  t.deepEqual(service.plans, [
    {
      id: 'p1',
      name: 'small',
      description: 'One server',
      free: true,
      binding_rotatable: false,
      version: '18.3',
      versions: ['18.3', '17.9'],
      spec: {
        replicas: 1,
        storageType: 'Durable',
        storage: { resources: { requests: { storage: '10Gi' } } },
        podTemplate: {
          spec: { containers: [{ name: 'postgres', resources: { requests: { cpu: '500m' } } }] },
        },
      },
      parameters: { storage: { min: '10Gi', max: '100Gi' }, cpu: { min: '250m', max: '4' }, database: true },
    },
  ])
})

test('nothing wrong is rendered', (t) => {
  t.throws(() => renderCatalog(smallest.replace("'17.9'", '17.9'), traits), { instanceOf: BrokerError })
})
